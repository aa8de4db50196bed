"""A Word document with a macro that runs when it is opened, for the demo (PURE).

Owns: as much of the formats as a reader of macros needs: an OOXML package, and in it a compound file with one module
of VBA. The macro does no harm: it shows a message and starts the calculator.
Standards: ECMA-376 (package), MS-CFB (compound file), MS-OVBA §2.3.4 (project), §2.4.1 (compression).
"""

import io
import struct
import zipfile
from dataclasses import dataclass
from itertools import pairwise

MACRO = """\
Attribute VB_Name = "ThisDocument"
Sub AutoOpen()
    MsgBox "This document came with a macro."
    Shell "calc.exe", vbNormalFocus
End Sub
"""
_MODULE = "ThisDocument"
_SECTOR, _MINI_SECTOR, _ENTRY_BYTES = 512, 64, 128
_END, _FREE, _FAT, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF
_STORAGE, _STREAM, _ROOT = 1, 2, 5

_TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">\
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>\
<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>\
<Override PartName="/word/document.xml" ContentType="application/vnd.ms-word.document.macroEnabled.main+xml"/></Types>
"""
_RELATIONS = """<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">\
<Relationship Id="rId1" Type="{type}" Target="{target}"/></Relationships>
"""
_DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">\
<w:body><w:p><w:r><w:t>Please enable macros.</w:t></w:r></w:p></w:body></w:document>
"""


def macro_document(source: str = MACRO) -> bytes:
    """Return a .docm with one module of VBA source, of 3,000 characters at the most."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    vba = "http://schemas.microsoft.com/office/2006/relationships/vbaProject"
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELATIONS.format(type=office, target="word/document.xml"))
        archive.writestr("word/document.xml", _DOCUMENT)
        archive.writestr("word/_rels/document.xml.rels", _RELATIONS.format(type=vba, target="vbaProject.bin"))
        archive.writestr("word/vbaProject.bin", vba_project(source))
    return package.getvalue()


def vba_project(source: str) -> bytes:
    """Return a compound file that holds a VBA project of one module."""
    return _compound_file(
        project=f'ID="{{00000000-0000-0000-0000-000000000000}}"\r\nDocument={_MODULE}/&H00000000\r\n'.encode(),
        vba={
            "dir": _compressed(_project_information()),
            _MODULE: _compressed(source.replace("\n", "\r\n").encode("ascii")),
            "_VBA_PROJECT": b"\xcc\x61\xff\xff\x00\x00\x00",
        },
    )


def _compressed(data: bytes) -> bytes:
    # MS-OVBA §2.4.1.1: a container of chunks, here one, whose tokens are all literals, eight behind each flag byte.
    tokens = b"".join(b"\x00" + data[start : start + 8] for start in range(0, len(data), 8))
    return b"\x01" + struct.pack("<H", 0xB000 | len(tokens) - 1) + tokens


def _project_information() -> bytes:
    """Return what the stream `dir` says of the project (MS-OVBA §2.3.4.2)."""
    name, wide = _MODULE.encode(), _MODULE.encode("utf-16-le")
    empty = b""
    return b"".join(
        [
            _record(0x01, struct.pack("<I", 1)),  # system: 32 bits
            _record(0x02, struct.pack("<I", 0x409)),
            _record(0x14, struct.pack("<I", 0x409)),
            _record(0x03, struct.pack("<H", 1252)),  # code page
            _record(0x04, b"Project"),
            *(_record(0x05, empty), _record(0x40, empty)),
            *(_record(0x06, empty), _record(0x3D, empty)),
            _record(0x07, struct.pack("<I", 0)),
            _record(0x08, struct.pack("<I", 0)),
            struct.pack("<HIIH", 0x09, 4, 1, 1),  # version; its size does not count the last field
            *(_record(0x0C, empty), _record(0x3C, empty)),
            _record(0x0F, struct.pack("<H", 1)),  # so many modules
            _record(0x13, struct.pack("<H", 0xFFFF)),
            *(_record(0x19, name), _record(0x47, wide)),
            *(_record(0x1A, name), _record(0x32, wide)),
            *(_record(0x1C, empty), _record(0x48, empty)),
            _record(0x31, struct.pack("<I", 0)),  # where in its stream the source begins
            _record(0x1E, struct.pack("<I", 0)),
            _record(0x2C, struct.pack("<H", 0xFFFF)),
            *(_record(0x22, empty), _record(0x2B, empty)),  # a document's module; its end
            _record(0x10, empty),
        ]
    )


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HI", kind, len(content)) + content


@dataclass(slots=True)
class _Entry:
    """Of the directory. left out: what is the same in all."""

    name: str
    kind: int
    child: int = _NONE
    right: int = _NONE
    start: int = 0
    size: int = 0

    def packed(self) -> bytes:
        name = self.name.encode("utf-16-le") + b"\0\0"
        links = struct.pack("<BBIII", self.kind, 1, _NONE, self.right, self.child)
        return struct.pack("<64sH", name, len(name)) + links + bytes(36) + struct.pack("<IQ", self.start, self.size)


def _compound_file(project: bytes, vba: dict[str, bytes]) -> bytes:
    """Return a compound file with the stream PROJECT and the storage VBA; each stream is shorter than 4,096 bytes."""
    # MS-CFB §2.6.4: names are ordered by length, then by letter.
    names = sorted(vba, key=lambda name: (len(name), name.upper()))
    entries = [
        _Entry("Root Entry", _ROOT, child=1),
        _Entry("VBA", _STORAGE, right=2, child=3),
        _Entry("PROJECT", _STREAM),
        *(_Entry(name, _STREAM) for name in names),
    ]
    for number, (this, _) in enumerate(pairwise(entries[3:]), 4):
        this.right = number
    mini = bytearray()
    mini_fat: list[int] = []
    for entry, content in zip(entries[2:], [project, *(vba[name] for name in names)], strict=True):
        entry.start, entry.size = len(mini_fat), len(content)
        mini += _padded(content, _MINI_SECTOR)
        mini_fat += [*range(entry.start + 1, len(mini) // _MINI_SECTOR), _END]
    # Sectors: the table of sectors, the directory, the table of mini sectors, the mini sectors.
    first = 1 + -(-len(entries) * _ENTRY_BYTES // _SECTOR)
    stream = _padded(bytes(mini), _SECTOR)
    entries[0].start, entries[0].size = first + 1, len(mini)
    directory = _padded(b"".join(entry.packed() for entry in entries), _SECTOR)
    fat = [_FAT, *_chain(1, first - 1), _END, *_chain(first + 1, len(stream) // _SECTOR)]
    return _header(first) + _table(fat) + directory + _table(mini_fat) + stream


def _header(mini_fat_at: int) -> bytes:
    # MS-CFB §2.2: version 3, sectors of 512 bytes, one sector of FAT, directory in sector 1, one sector of mini FAT.
    return struct.pack(
        "<8s16sHHHHH6xIIIIIIIII109I",
        *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3, 0xFFFE, 9, 6),
        *(0, 1, 1, 0, 4096, mini_fat_at, 1, _END, 0, 0),
        *([_FREE] * 108),
    )


def _chain(first: int, count: int) -> list[int]:
    return [*range(first + 1, first + count), _END]


def _table(numbers: list[int]) -> bytes:
    return struct.pack("<128I", *numbers, *[_FREE] * (128 - len(numbers)))


def _padded(data: bytes, size: int) -> bytes:
    return data + bytes(-len(data) % size)
