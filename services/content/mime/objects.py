"""Files within compound files (OLE) and OneNote's notes (runs in a helper process alone).

Input: the container's bytes. Output: packed files (Ole10Native), the attachments of a saved Outlook message, the files
of a note, in a `Haul`. Standards: MS-OLEDS §2.3.6, MS-OXMSG §2.2.2, MS-ONESTORE §2.6.13.
On failure: damage is ARCHIVE_UNREADABLE.
"""

import io
import re
import zlib
from collections.abc import Iterator
from itertools import islice

import olefile
from oletools.oleobj import OleNativeStream

from services.content.mime.extensions import RUNNABLE_EXTENSIONS, extension
from services.content.mime.haul import Haul
from services.content.mime.inspection import FileKind
from services.content.mime.kinds import kind_of

_NATIVE = "\x01ole10native"
_ATTACHED = "__attach_version1.0_"
_ATTACHED_DATA = "__substg1.0_37010102"
_ATTACHED_NAMES = ("__substg1.0_3707001f", "__substg1.0_3707001e", "__substg1.0_3704001f", "__substg1.0_3704001e")
_MAX_STREAMS = 10_000
# {BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}, then the length and 12 bytes that say nothing.
_NOTE_FILE = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
_NOTE_HEAD_BYTES = 36
_NOTE_NAME = re.compile(rb"(?:[ !#-)+-.0-9;=@-\[\]-{}~]\0){1,200}+(?<=[A-Za-z0-9]\0)")
_BY_NAME = frozenset((FileKind.TEXT, FileKind.HTML, FileKind.UNKNOWN))
_ZLIB_START = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_BLOCK_BYTES = 1 << 16


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


def open_active_mime(content: bytes, haul: Haul) -> None:
    """Bring out the compound file in an ActiveMime, in which web archives and XML carry macros."""
    place = _active_mime_place(content)
    if place is None:
        haul.unreadable("a document's macros are damaged")
        return
    haul.begin_file()
    unpacked = haul.collect(_inflated(content[place:]), len(content))
    haul.add((), unpacked, len(unpacked))


def _inflated(data: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj()
    while data and not unpacker.eof:
        try:
            yield unpacker.decompress(data, _BLOCK_BYTES)
        except zlib.error:
            # What came before it is examined as a document, and is damaged there.
            return
        data = unpacker.unconsumed_tail


def _active_mime_place(content: bytes) -> int | None:
    """Return where the packed data begin: where the header says, or at the first place that looks like it."""
    said = int.from_bytes(content[0x1E:0x20], "little") + 46
    places = [said, 0x32, 0x22A, *(match.start() for match in islice(_ZLIB_START.finditer(content), 100))]
    for place in places:
        try:
            if zlib.decompressobj().decompress(content[place:], 100):
                return place
        except zlib.error:
            continue
    return None


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
            file = content[start : start + size]
            # The name stands elsewhere in the note; a text becomes a program by it.
            haul.take(_runnable_names(content) if kind_of(file) in _BY_NAME else (), file)


def _runnable_names(note: bytes) -> tuple[str, ...]:
    names = (match[0].decode("utf-16-le", "replace") for match in islice(_NOTE_NAME.finditer(note), 1000))
    return tuple(dict.fromkeys(name for name in names if extension(name) in RUNNABLE_EXTENSIONS))[:20]


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
