"""Archives of many kinds for tests, made by libarchive, or by hand where nothing here can write them."""

import binascii
import bz2
import io
import struct
import zipfile
import zlib

import libarchive

from infra.local import office
from infra.local.office import MACRO, macro_document, vba_project

__all__ = ["MACRO", "macro_document", "vba_project"]

Files = dict[str, bytes]


def archive(files: Files, form: str, packing: str | None = None, options: str = "", password: str = "") -> bytes:
    """Return an archive of a libarchive format: 7zip, gnutar, cpio_newc, iso9660, xar, zip."""
    pieces: list[bytes] = []

    def write(data: bytes) -> int:
        pieces.append(bytes(data))
        return len(data)

    with libarchive.custom_writer(write, form, packing, options=options, passphrase=password or None) as writer:
        for name, content in files.items():
            writer.add_file_from_memory(name, len(content), content)
    return b"".join(pieces)


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as writer:
        for name, content in files.items():
            writer.writestr(name, content)
    return out.getvalue()


def bomb(count: int, size: int) -> bytes:
    """Return a small zip of many files, each of so many zeros."""
    data = bz2.compress(bytes(size))
    crc = zlib.crc32(bytes(size))
    files = entries = b""
    for number in range(count):
        name = b"%04d" % number
        head = struct.pack("<HHHHHIIIHH", 46, 0, 12, 0, 0x21, crc, len(data), size, len(name), 0)
        entries += b"PK\x01\x02" + struct.pack("<H", 20) + head
        entries += struct.pack("<HHHII", 0, 0, 0, 0, len(files)) + name
        files += b"PK\x03\x04" + head + name + data
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(entries), len(files), 0)
    return files + entries + b"PK\x05\x06" + end


def zip_with_two_names(listed: str, local: str, content: bytes) -> bytes:
    """Return a zip whose list and whose file's own header differ in the name; both of one length."""
    return zipped({local: content}).replace(local.encode(), listed.encode()).replace(listed.encode(), local.encode(), 1)


def _vint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _rar5_block(kind: int, body: bytes, data: bytes = b"") -> bytes:
    flags = 2 if data else 0
    header = _vint(kind) + _vint(flags) + (_vint(len(data)) if data else b"") + body
    sized = _vint(len(header)) + header
    return struct.pack("<I", zlib.crc32(sized)) + sized + data


def rar5(files: Files, *, encrypted_list: bool = False) -> bytes:
    """Return a RAR 5 archive of files that are stored."""
    out = b"Rar!\x1a\x07\x01\0"
    if encrypted_list:
        return out + _rar5_block(4, _vint(0) + _vint(0) + b"\x0f" + b"\x11" * 16) + b"\x5a" * 64
    out += _rar5_block(1, _vint(0))
    for name, content in files.items():
        raw = name.encode()
        body = _vint(4) + _vint(len(content)) + _vint(0o100644) + struct.pack("<I", zlib.crc32(content))
        out += _rar5_block(2, body + _vint(0) + _vint(1) + _vint(len(raw)) + raw, content)
    return out + _rar5_block(5, _vint(0))


def _rar4_block(kind: int, flags: int, body: bytes) -> bytes:
    rest = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(rest) & 0xFFFF) + rest


def rar4(files: Files, *, encrypted: bool = False, encrypted_list: bool = False) -> bytes:
    """Return a RAR 4 archive of files that are stored."""
    out = b"Rar!\x1a\x07\0" + _rar4_block(0x73, 0x80 if encrypted_list else 0, bytes(6))
    if encrypted_list:
        return out + b"\x5a" * 64
    for name, content in files.items():
        raw = name.encode()
        size, crc = len(content), zlib.crc32(content)
        body = struct.pack("<IIBIIBBHI", size, size, 3, crc, 0, 20, 0x30, len(raw), 0o100644) + raw
        out += _rar4_block(0x74, 0x8000 | (4 if encrypted else 0), body) + content
    return out + _rar4_block(0x7B, 0x4000, b"")


def cab(files: Files) -> bytes:
    """Return a cabinet of files that are stored."""
    data = b"".join(files.values())
    entries = b""
    place = 0
    for name, content in files.items():
        entries += struct.pack("<IIHHHH", len(content), place, 0, 0x5A21, 0x6000, 0x20) + name.encode() + b"\0"
        place += len(content)
    first_file = 36 + 8
    first_data = first_file + len(entries)
    block = struct.pack("<HH", len(data), len(data)) + data
    total = first_data + 4 + len(block)
    head = b"MSCF" + struct.pack("<IIIIIBBHHHHH", 0, total, 0, first_file, 0, 3, 1, 1, len(files), 0, 0, 0)
    return head + struct.pack("<IHH", first_data, 1, 0) + entries + struct.pack("<I", 0) + block


def _crc16(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


def lha(files: Files) -> bytes:
    """Return an LHA archive of files that are stored."""
    out = b""
    for name, content in files.items():
        raw = name.encode()
        rest = b"-lh0-" + struct.pack("<IIIBBB", len(content), len(content), 0x5A210000, 0x20, 0, len(raw)) + raw
        rest += struct.pack("<H", _crc16(content))
        out += bytes([len(rest), sum(rest) & 0xFF]) + rest + content
    return out + b"\0"


def seven_zip_with_encrypted_list() -> bytes:
    """Return a 7z whose list of files is encrypted: its header is packed by the AES coder."""
    packed = b"\x5a" * 64
    coder = b"\x24\x06\xf1\x07\x01\x02\x13\x07"
    folders = b"\x07\x0b\x01\x00\x01" + coder + b"\x0c\x40\x00"
    header = b"\x17\x06\x00\x01\x09\x40\x00" + folders + b"\x00"
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<I", zlib.crc32(start)) + start + packed + header


def _tnef_attribute(level: int, attribute: int, data: bytes) -> bytes:
    return struct.pack("<BII", level, attribute, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def tnef(files: Files) -> bytes:
    """Return a winmail.dat as Outlook makes it: a short name, the long one among the properties."""
    out = b"\x78\x9f\x3e\x22\x01\0" + _tnef_attribute(1, 0x00089006, b"\0\0\1\0")
    for name, content in files.items():
        out += _tnef_attribute(2, 0x00069002, bytes(14))
        out += _tnef_attribute(2, 0x00018010, name[:8].encode() + b"\0")
        out += _tnef_attribute(2, 0x0006800F, content)
        long_name = name.encode("utf-16-le") + b"\0\0"
        properties = struct.pack("<I", 2) + struct.pack("<HHI", 3, 0x3705, 1)
        properties += struct.pack("<HHII", 0x1F, 0x3707, 1, len(long_name)) + long_name + bytes(-len(long_name) % 4)
        out += _tnef_attribute(2, 0x00069005, properties)
    return out


def rtf_with_package(name: str, content: bytes) -> bytes:
    """Return an RTF document with a packed file as its object."""
    file = name.encode() + b"\0"
    native = struct.pack("<H", 2) + file + b"C:\\" + file + struct.pack("<II", 0x30000, len(file)) + file
    native += struct.pack("<I", len(content)) + content
    ole = struct.pack("<IIII", 0x501, 2, 8, 0)[:12] + b"Package\0" + bytes(8) + struct.pack("<I", len(native)) + native
    return b"{\\rtf1{\\object\\objemb{\\*\\objdata " + binascii.hexlify(ole) + b"}}}"


def docx(extra: Files, relations: str = "") -> bytes:
    """Return a Word document without macros, with further parts."""
    types = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    relationships = f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}'
    parts = {
        "[Content_Types].xml": types.encode(),
        "_rels/.rels": b"<Relationships/>",
        "word/document.xml": b"<w:document>hello</w:document>",
        "word/_rels/settings.xml.rels": (relationships + "</Relationships>").encode(),
        "word/media/image1.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    }
    return zipped(parts | extra)


def compound(streams: Files) -> bytes:
    """Return a compound file (OLE) of small streams, in storages one deep: `storage/stream`."""
    places: dict[str, list[str]] = {}
    for path in streams:
        folder, _, name = path.rpartition("/")
        places.setdefault(folder, []).append(name)
    entries = [office._Entry("Root Entry", office._ROOT)]
    contents: dict[int, bytes] = {}
    _directory(entries, contents, 0, [*(folder for folder in places if folder), *places.get("", [])], places, streams)
    mini = bytearray()
    mini_fat: list[int] = []
    for number, content in contents.items():
        entries[number].start, entries[number].size = len(mini_fat), len(content)
        mini += office._padded(content, office._MINI_SECTOR)
        mini_fat += [*range(entries[number].start + 1, len(mini) // office._MINI_SECTOR), office._END]
    first = 1 + -(-len(entries) * office._ENTRY_BYTES // office._SECTOR)
    stream = office._padded(bytes(mini), office._SECTOR)
    entries[0].start, entries[0].size = first + 1, len(mini)
    directory = office._padded(b"".join(entry.packed() for entry in entries), office._SECTOR)
    fat = [office._FAT, *office._chain(1, first - 1), office._END]
    fat += office._chain(first + 1, len(stream) // office._SECTOR)
    return office._header(first) + office._table(fat) + directory + office._table(mini_fat) + stream


def _directory(
    entries: list[office._Entry],
    contents: dict[int, bytes],
    parent: int,
    names: list[str],
    places: dict[str, list[str]],
    streams: Files,
) -> None:
    previous = -1
    for name in sorted(names, key=lambda name: (len(name), name.upper())):
        number = len(entries)
        folder = parent == 0 and name in places
        entries.append(office._Entry(name, office._STORAGE if folder else office._STREAM))
        if previous < 0:
            entries[parent].child = number
        else:
            entries[previous].right = number
        previous = number
        if folder:
            _directory(entries, contents, number, places[name], places, streams)
        else:
            above = entries[parent].name + "/" if parent else ""
            contents[number] = streams[above + name]


def excel_with_macro_sheet(*, automatic: bool) -> bytes:
    """Return an Excel 97 workbook with a sheet of Excel 4 macros."""
    begin = struct.pack("<HHHH", 0x0809, 16, 0x0600, 5) + bytes(12)
    sheet = struct.pack("<IBBBB", 0x200, 0, 1, 5, 0) + b"Macro"
    name = struct.pack("<HBBHHH4xB", 0x20, 0, 1, 0, 0, 0, 0) + b"\1"
    records = [(0x85, sheet), *([(0x18, name)] if automatic else []), (0x0A, b"")]
    stream = begin + b"".join([struct.pack("<HH", kind, len(data)) + data for kind, data in records])
    return compound({"Workbook": stream})


def saved_message(name: str, content: bytes) -> bytes:
    """Return a message as Outlook saves it, with one attachment."""
    folder = "__attach_version1.0_#00000000/__substg1.0_"
    return compound(
        {
            "__properties_version1.0": bytes(32),
            folder + "37010102": content,
            folder + "3707001F": name.encode("utf-16-le"),
            folder + "3704001F": (name[:4] + "~1").encode("utf-16-le"),
        }
    )


def document_with_package(name: str, content: bytes) -> bytes:
    """Return a Word 97 document with a packed file as its object."""
    file = name.encode() + b"\0"
    native = struct.pack("<H", 2) + file + b"C:\\" + file + struct.pack("<II", 0x30000, len(file)) + file
    native += struct.pack("<I", len(content)) + content
    return compound({"WordDocument": bytes(64), "ObjectPool/\x01Ole10Native": struct.pack("<I", len(native)) + native})


def encrypted_document() -> bytes:
    """Return a document of Office 2007 and later that has a password."""
    return compound({"EncryptionInfo": b"\4\0\4\0\x40\0\0\0<encryption/>", "EncryptedPackage": bytes(100)})


def note(content: bytes) -> bytes:
    """Return a note of OneNote that holds a file."""
    head = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(64)
    return head + bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + struct.pack("<QIQ", len(content), 0, 0) + content
