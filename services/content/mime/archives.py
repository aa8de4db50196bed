"""Archives and disk images, opened by what they are (runs in a helper process alone).

Input: an archive's bytes. Output: its files and faults, in a `Haul`. Formats: zip (zips.py), TNEF (tnef.py), and by
libarchive RAR, 7z, tar, cab, LHA, cpio, ar, xar, ISO 9660, each also packed by gzip, bzip2, xz, lzma, lzip, zstd, lz4
or compress, and single files packed by these.
On failure: what nobody here can open is ARCHIVE_UNREADABLE, never taken for empty; MemoryError goes through.
"""

from services.content.mime.haul import Exceeded, Haul
from services.content.mime.libarchive_reader import FILTERS, ArchiveFault, ArchiveFile, open_archive
from services.content.mime.tnef import SIGNATURE as TNEF
from services.content.mime.tnef import open_tnef
from services.content.mime.zips import open_zip

# First bytes, and the only format that is then tried.
_FORMATS: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (b"Rar!\x1a\x07\x01\0", ("rar5",)),
    (b"Rar!\x1a\x07\0", ("rar",)),
    (b"7z\xbc\xaf\x27\x1c", ("7zip",)),
    (b"MSCF", ("cab",)),
    (b"xar!", ("xar",)),
    (b"!<arch>\n", ("ar",)),
)
_PACKED = (
    (b"\x1f\x8b", ".gz"),
    (b"BZh", ".bz2"),
    (b"\xfd7zXZ\0", ".xz"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
    (b"\x04\x22\x4d\x18", ".lz4"),
    (b"LZIP", ".lz"),
    (b"\x1f\x9d", ".Z"),
    (b"\x1f\xa0", ".Z"),
    (b"]\0\0", ".lzma"),
    (b"\xed\xab\xee\xdb", ".rpm"),
)
_SHORT_TAR = {".tgz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".tzst": ".tar", ".taz": ".tar"}
_DAMAGED = "an archive is damaged, or of a kind that cannot be opened here"
# The longest archive that may be empty in good faith: a zip's end, a 7z's beginning.
_EMPTY_BYTES = 100
_GZIP_NAME = 0x08
_GZIP_EXTRA = 0x04


def open_any(names: tuple[str, ...], content: bytes, haul: Haul) -> None:
    """Open an archive of any kind. names: its own."""
    _open_by_first_bytes(names, content, haul)
    if not (haul.entries or haul.faults or haul.encrypted or haul.folders) and len(content) > _EMPTY_BYTES:
        haul.unreadable("an archive in which nothing is found")


def _open_by_first_bytes(names: tuple[str, ...], content: bytes, haul: Haul) -> None:
    if content.startswith(TNEF):
        open_tnef(content, haul)
        return
    for magic, formats in _FORMATS:
        if content.startswith(magic):
            _open(content, formats, (), names, haul)
            return
    for magic, extension in _PACKED:
        if content.startswith(magic):
            _open_packed(content, _inner_names(names, content, extension), haul)
            return
    if content[2:5] in (b"-lh", b"-lz"):
        _open(content, ("lha",), (), names, haul)
    elif content[257:262] == b"ustar" or content[:4] == b"0707" or content[:2] in (b"\xc7\x71", b"\x71\xc7"):
        _open(content, ("tar", "cpio"), (), names, haul)
    elif b"PK\x05\x06" in content or content[:2] == b"PK":
        open_zip(content, haul)
    else:
        haul.unreadable("an archive is of a kind that cannot be opened here")


def open_disk_image(content: bytes, haul: Haul) -> None:
    """Open a disk image."""
    sectors = [content[place + 1 : place + 6] for place in range(32_768, min(len(content), 65_536), 2048)]
    if b"CD001" in sectors:
        _open(content, ("iso9660",), (), (), haul)
    if b"CD001" not in sectors or b"NSR02" in sectors or b"NSR03" in sectors:
        # UDF, which may list other files than ISO 9660 does in the same image; or another form.
        haul.unreadable("a disk image has a list of files that cannot be read here")


def _open(
    content: bytes, formats: tuple[str, ...], filters: tuple[str, ...], names: tuple[str, ...], haul: Haul
) -> None:
    """Open by libarchive. names: of the one file that is packed, where it is no archive."""
    try:
        with open_archive(content, formats, filters) as files:
            for file in files:
                if file.is_folder:
                    haul.folders += 1
                else:
                    _take(file, names if file.is_alone else (file.name,), haul)
    except ArchiveFault as fault:
        if fault.encrypted:
            haul.encrypted = True
        else:
            haul.unreadable(_DAMAGED)
    except Exceeded:
        pass


def _open_packed(content: bytes, names: tuple[str, ...], haul: Haul) -> None:
    """Open what is packed, be it an archive or a file."""
    _open(content, ("tar", "cpio", "raw"), FILTERS, names, haul)
    if not haul.entries and not haul.faults:
        # What begins with zeros looks like a tar that ends at once.
        _open(content, ("raw",), FILTERS, names, haul)
    if len(haul.entries) == 1 and haul.entries[0].content == content:
        # No filter took it: it only begins as if it were packed.
        haul.entries.clear()
        haul.unreadable(_DAMAGED)


def _take(file: ArchiveFile, names: tuple[str, ...], haul: Haul) -> None:
    haul.begin_file()
    if file.encrypted or not file.has_content:
        haul.add(names, None, file.size_bytes, encrypted=file.encrypted)
        return
    try:
        content = haul.collect(file.blocks(), haul.packed_bytes)
    except ArchiveFault as fault:
        haul.add(names, None, file.size_bytes, encrypted=fault.encrypted)
        if not fault.encrypted:
            haul.unreadable("a file in an archive cannot be unpacked")
    except Exceeded:
        haul.add(names, None, file.size_bytes)
        raise
    else:
        haul.add(names, content, len(content))


def _inner_names(names: tuple[str, ...], content: bytes, extension: str) -> tuple[str, ...]:
    """Return the names of the one file that is packed: what its own header says, and what unpackers make of ours."""
    inner = []
    for name in names:
        stem, dot, last = name.rpartition(".")
        if f".{last.lower()}" == extension.lower():
            inner.append(stem)
        elif f".{last.lower()}" in _SHORT_TAR:
            inner.append(stem + ".tar")
        elif dot:
            inner.append(name)
    if extension == ".gz" and (stored := _gzip_name(content)):
        inner.insert(0, stored)
    return tuple(dict.fromkeys(inner)) or tuple(names[:1])


def _gzip_name(content: bytes) -> str:
    # RFC 1952 §2.3: the name follows the optional extra field.
    if len(content) < 12 or not content[3] & _GZIP_NAME:
        return ""
    place = 10
    if content[3] & _GZIP_EXTRA:
        place += 2 + int.from_bytes(content[10:12], "little")
    end = content.find(b"\0", place, place + 1000)
    return content[place:end].decode("latin-1") if end > place else ""
