"""Files within compound files (OLE) and OneNote's notes (runs in a helper process alone).

Input: the container's bytes. Output: packed files (Ole10Native), the attachments of a saved Outlook message, the files
of a note, in a `Haul`. Standards: MS-OLEDS §2.3.6, MS-OXMSG §2.2.2, MS-ONESTORE §2.6.13.
On failure: damage is ARCHIVE_UNREADABLE.
"""

import io
from collections.abc import Iterator

import olefile
from oletools.oleobj import OleNativeStream

from services.content.mime.haul import Haul

_NATIVE = "\x01ole10native"
_ATTACHED = "__attach_version1.0_"
_ATTACHED_DATA = "__substg1.0_37010102"
_ATTACHED_NAMES = ("__substg1.0_3707001f", "__substg1.0_3707001e", "__substg1.0_3704001f", "__substg1.0_3704001e")
_MAX_STREAMS = 10_000
# {BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}, then the length and 12 bytes that say nothing.
_NOTE_FILE = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
_NOTE_HEAD_BYTES = 36


def open_compound(content: bytes, haul: Haul) -> None:
    """Bring out the files in a compound file."""
    if _NATIVE.encode("utf-16-le")[2:] not in content.lower() and _ATTACHED.encode("utf-16-le") not in content:
        return
    with olefile.OleFileIO(io.BytesIO(content)) as ole:
        streams = ole.listdir()
        if len(streams) > _MAX_STREAMS:
            raise haul.exceeded("a document has more streams than are read")
        for path in streams:
            last = path[-1].lower()
            if last == _NATIVE:
                native = OleNativeStream(bindata=_stream(ole, path, haul))
                if native.data:
                    haul.take(tuple(_native_names(native)), bytes(native.data))
            elif last == _ATTACHED_DATA and len(path) > 1 and path[-2].lower().startswith(_ATTACHED):
                names = tuple(_attached_names(ole, path[:-1]))
                haul.take(names, _stream(ole, path, haul))


def open_notes(content: bytes, haul: Haul) -> None:
    """Bring out the files in a note."""
    place = -1
    while (place := content.find(_NOTE_FILE, place + 1)) >= 0:
        size = int.from_bytes(content[place + 16 : place + 24], "little")
        start = place + _NOTE_HEAD_BYTES
        if start + size > len(content):
            haul.unreadable("a note is damaged")
            return
        if size:
            haul.take((), content[start : start + size])


def _stream(ole: olefile.OleFileIO, path: list[str], haul: Haul) -> bytes:
    if ole.get_size(path) > haul.packed_bytes:
        haul.unreadable("a document is damaged")
        return b""
    data: bytes = ole.openstream(path).read()
    return data


def _native_names(native: OleNativeStream) -> Iterator[str]:
    return (str(name) for name in dict.fromkeys((native.filename, native.src_path, native.temp_path)) if name)


def _attached_names(ole: olefile.OleFileIO, folder: list[str]) -> Iterator[str]:
    for stream in _ATTACHED_NAMES:
        path = [*folder, stream]
        if ole.exists(path) and ole.get_size(path) < 10_000:
            encoding = "utf-16-le" if stream.endswith("f") else "cp1252"
            yield ole.openstream(path).read().decode(encoding, "replace")
