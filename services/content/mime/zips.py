"""Zip archives, read as those do who begin at the end, and as those who begin at the start (runs in a helper process).

The list of files stands at the end of a zip, and each file has a header of its own before it. Where the two differ,
programs unpack different files, and malware hides in the difference: both readings are examined.
Standards: APPNOTE.TXT 6.3 §4.3 (the order of an archive's parts), §4.4.4 (flags).
On failure: damage is ARCHIVE_UNREADABLE; MemoryError goes through.
"""

import io
import zipfile
import zlib

from services.content.mime.haul import Exceeded, Haul
from services.content.mime.libarchive_reader import ArchiveFault, ArchiveFile, open_archive

_ENCRYPTED = 0x01
_DESCRIPTOR = 0x08
_UNICODE_NAME = 0x7075
_UTF8 = 0x800
_LOCAL, _LISTED, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCAL_BYTES = 30
_DESCRIPTOR_SIZES = (12, 16, 20, 24)
_BLOCK_BYTES = 1 << 16
_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, IndexError, OverflowError, RuntimeError)
# Methods that zipfile does not know and libarchive does are read by the latter.
_KNOWN_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})


def open_zip(content: bytes, haul: Haul) -> None:
    """Open a zip by both readings."""
    try:
        seen = _by_list(content, haul)
        if seen is not None:
            _by_headers(content, haul, seen)
    except Exceeded:
        pass


def listed(content: bytes) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]] | None:
    """Return a zip's list of files, None if it has none that can be read."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except _ERRORS:
        return None
    return archive, archive.infolist()


def unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, haul: Haul) -> bytes | None:
    """Return a file's content, None (with a fault) if it cannot be unpacked. Raises Exceeded."""
    try:
        with archive.open(info) as file:
            return haul.collect(iter(lambda: file.read(_BLOCK_BYTES), b""), max(info.compress_size, 1))
    except _ERRORS:
        haul.unreadable("a file in an archive cannot be unpacked")
        return None


def _by_list(content: bytes, haul: Haul) -> set[tuple[str, int]] | None:
    """Read by the list at the end. Return what the other reading need not bring again, None if it is not needed."""
    found = listed(content)
    if found is None:
        haul.unreadable("a zip's list of files is damaged")
        return set()
    archive, infos = found
    seen: set[tuple[str, int]] = set()
    foreign = False
    for info in infos:
        if info.filename.endswith("/") and not info.file_size:
            haul.folders += 1
            continue
        if info.compress_type not in _KNOWN_METHODS and not info.flag_bits & _ENCRYPTED:
            foreign = True
            continue
        haul.begin_file()
        names = _names(info)
        if info.flag_bits & _ENCRYPTED:
            haul.add(names, None, info.file_size, encrypted=True)
            continue
        data = _unpack_or_add(archive, info, names, haul)
        if data is not None:
            haul.add(names, data, len(data))
            seen.add((info.orig_filename, zlib.crc32(data)))
    return None if not foreign and is_plain(content, infos) else seen


def _unpack_or_add(archive: zipfile.ZipFile, info: zipfile.ZipInfo, names: tuple[str, ...], haul: Haul) -> bytes | None:
    try:
        data = unpack(archive, info, haul)
    except Exceeded:
        haul.add(names, None, info.file_size)
        raise
    if data is None:
        haul.add(names, None, info.file_size)
    return data


def _names(info: zipfile.ZipInfo) -> tuple[str, ...]:
    """Return every reading of a name: programs differ in where it ends, and in whether they take the one in Unicode."""
    names = dict.fromkeys((info.filename, info.orig_filename))
    extra, place = info.extra, 0
    while place + 4 <= len(extra):
        tag, size = (int.from_bytes(extra[at : at + 2], "little") for at in (place, place + 2))
        # APPNOTE.TXT 6.3 §4.6.9: a version and a CRC stand before the name in UTF-8.
        if tag == _UNICODE_NAME and size > 5:
            names[extra[place + 9 : place + 4 + size].decode("utf-8", "replace")] = None
        place += 4 + size
    return tuple(names)


def is_plain(content: bytes, infos: list[zipfile.ZipInfo]) -> bool:
    """Whether the files stand one behind the other from the first byte to the list, under the names of the list."""
    place = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        head = content[place : place + _LOCAL_BYTES]
        if info.header_offset != place or not head.startswith(_LOCAL) or len(head) < _LOCAL_BYTES:
            return False
        flags, method = (int.from_bytes(head[at : at + 2], "little") for at in (6, 8))
        name_size, extra_size = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
        name = content[place + _LOCAL_BYTES : place + _LOCAL_BYTES + name_size]
        if (flags ^ info.flag_bits) & _ENCRYPTED or method != info.compress_type:
            return False
        if name != info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437", "replace"):
            return False
        sizes = [int.from_bytes(head[at : at + 4], "little") for at in (18, 22)]
        place += _LOCAL_BYTES + name_size + extra_size + info.compress_size
        if flags & _DESCRIPTOR:
            place = _after_descriptor(content, place)
        elif sizes != [info.compress_size, info.file_size]:
            return False
    # One list, and one end of it: whoever looks for it from behind finds this one.
    return content[place : place + 4] in (_LISTED, _END) and content.count(_END, max(place, 0)) == 1


def _after_descriptor(content: bytes, place: int) -> int:
    for size in _DESCRIPTOR_SIZES:
        if content[place + size : place + size + 4] in (_LOCAL, _LISTED):
            return place + size
    return -1


def _by_headers(content: bytes, haul: Haul, seen: set[tuple[str, int]]) -> None:
    """Read from the start, file by file; what is known already is passed over."""
    start = content.find(_LOCAL)
    if start < 0:
        return
    try:
        with open_archive(content[start:] if start else content, ("zip_streamable",)) as files:
            for file in files:
                if not file.is_folder:
                    _take_unseen(file, haul, seen)
    except ArchiveFault as fault:
        if not haul.entries:
            haul.unreadable("a zip is damaged")
            haul.encrypted |= fault.encrypted


def _take_unseen(file: ArchiveFile, haul: Haul, seen: set[tuple[str, int]]) -> None:
    if file.encrypted:
        if not any(entry.encrypted and file.name in entry.names for entry in haul.entries):
            haul.begin_file()
            haul.add((file.name,), None, file.size_bytes, encrypted=True)
        return
    try:
        data = haul.collect(file.blocks(), haul.packed_bytes)
    except ArchiveFault as fault:
        haul.begin_file()
        haul.add((file.name,), None, file.size_bytes, encrypted=fault.encrypted)
        if not fault.encrypted:
            haul.unreadable("a file in an archive cannot be unpacked")
        return
    if (file.name, zlib.crc32(data)) not in seen:
        haul.begin_file()
        haul.add((file.name,), data, len(data))
