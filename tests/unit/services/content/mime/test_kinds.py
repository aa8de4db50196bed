"""Rules of kinds: content decides, whatever the name; a name decides only where it makes a program of text."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.mime.inspection import FileKind
from services.content.mime.kinds import kind_of
from tests.unit.services.content.mime.letters import PDF, PNG, PROGRAM, TNEF


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


DOCUMENT = zipped(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>"))
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
MSI_CLASS = bytes.fromhex("84100c0000000000c000000000000046")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PROGRAM, FileKind.EXECUTABLE),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 20, FileKind.EXECUTABLE),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", FileKind.EXECUTABLE),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", FileKind.EXECUTABLE),
        (b"MZ is a text about letters, long enough to be one. " * 10, FileKind.TEXT),
        (b"#!/bin/sh\nrm -rf /\n", FileKind.SCRIPT),
        (b"\xef\xbb\xbf#!/bin/sh\n", FileKind.SCRIPT),
        (struct.pack("<I", 0x4C) + bytes.fromhex("0114020000000000c000000000000046"), FileKind.SHORTCUT),
        (b"[InternetShortcut]\r\nURL=file://x/y.exe\r\n", FileKind.SHORTCUT),
        (b"\r\n[Desktop Entry]\nExec=x\n", FileKind.SHORTCUT),
        (b'<?xml version="1.0"?><libraryDescription xmlns="x">', FileKind.SHORTCUT),
        (b"\0" * 32768 + b"\x01CD001\x01" + b"\0" * 3000, FileKind.DISK_IMAGE),
        (b"\0" * 32768 + b"\0BEA01\x01" + b"\0" * 2041 + b"\0NSR02\x01" + b"\0" * 3000, FileKind.DISK_IMAGE),
        (b"\0" * 40_000 + b"conectix" + b"\0" * 504, FileKind.DISK_IMAGE),
        (b"\0" * 40_000 + b"koly" + b"\0" * 508, FileKind.DISK_IMAGE),
        (b"vhdxfile" + b"\0" * 100, FileKind.DISK_IMAGE),
        (zipped(("a.txt", b"hello")), FileKind.ARCHIVE),
        (zipped(), FileKind.ARCHIVE),
        (DOCUMENT, FileKind.OFFICE),
        (zipped(("a/inner.docx", DOCUMENT)), FileKind.ARCHIVE),
        (zipped(("[Content_Types].xml", b"x"), ("a.exe", PROGRAM)), FileKind.ARCHIVE),
        (b"Rar!\x1a\x07\0", FileKind.ARCHIVE),
        (b"Rar!\x1a\x07\x01\0", FileKind.ARCHIVE),
        (b"7z\xbc\xaf\x27\x1c\0\x04", FileKind.ARCHIVE),
        (b"\x1f\x8b\x08\0", FileKind.ARCHIVE),
        (b"BZh91AY&SY", FileKind.ARCHIVE),
        (b"\xfd7zXZ\0", FileKind.ARCHIVE),
        (b"\x28\xb5\x2f\xfd", FileKind.ARCHIVE),
        (b"a.txt" + b"\0" * 252 + b"ustar\x0000", FileKind.ARCHIVE),
        (b"MSCF\0\0\0\0", FileKind.ARCHIVE),
        (b"\x60\xea\x29\0", FileKind.ARCHIVE),
        (b"\0" * 7 + b"**ACE**", FileKind.ARCHIVE),
        (b"\x20\x00-lh5-\0", FileKind.ARCHIVE),
        (b"070701" + b"0" * 40, FileKind.ARCHIVE),
        (b"070701, 12.50, a table of dates that begins with digits\n", FileKind.TEXT),
        (TNEF, FileKind.ARCHIVE),
        (OLE, FileKind.OFFICE),
        (OLE + MSI_CLASS, FileKind.EXECUTABLE),
        (b"{\\rtf1\\ansi", FileKind.OFFICE),
        (b"ActiveMime\0\0", FileKind.OFFICE),
        (PDF, FileKind.PDF),
        (b"\r\n  " + PDF, FileKind.PDF),
        (b"<!DOCTYPE html><p>", FileKind.HTML),
        (b" \r\n<HTML><body>", FileKind.HTML),
        (b"\xff\xfe" + "<html>".encode("utf-16-le"), FileKind.HTML),
        (b'<?xml version="1.0"?><html xmlns="x">', FileKind.HTML),
        (b'<svg xmlns="x"><rect/></svg>', FileKind.IMAGE),
        (b'<?xml version="1.0"?><svg xmlns="x"><script>x</script></svg>', FileKind.SCRIPT),
        (b'<svg onload="x()"/>', FileKind.SCRIPT),
        (b'<svg><a href="javascript:x()"/></svg>', FileKind.SCRIPT),
        (b"<svg><foreignObject><div>a label</div></foreignObject></svg>", FileKind.IMAGE),
        (b"<hta:application id=x>", FileKind.SCRIPT),
        (b'<?xml version="1.0"?><invoice/>', FileKind.TEXT),
        (PNG, FileKind.IMAGE),
        (b"\xff\xd8\xff\xe0", FileKind.IMAGE),
        (b"RIFF\0\0\0\0WEBP", FileKind.IMAGE),
        (b"RIFF\0\0\0\0WAVE", FileKind.MEDIA),
        (b"\0\0\0\x18ftypmp42", FileKind.MEDIA),
        (b"ID3\x04", FileKind.MEDIA),
        (b"hello", FileKind.TEXT),
        ("Grüße".encode("latin-1"), FileKind.TEXT),
        (b"From: a@a.test\r\nSubject: x\r\n\r\nhi", FileKind.TEXT),
        (b"\x01\x02\x03\x04", FileKind.UNKNOWN),
        (b"", FileKind.UNKNOWN),
    ],
)
def test_content_tells_what_a_file_is(content: bytes, kind: FileKind) -> None:
    assert kind_of(content) is kind


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.vbs", b'MsgBox "hi"', FileKind.SCRIPT),
        ("a.js", b"\xff\xfe" + "alert(1)".encode("utf-16-le"), FileKind.SCRIPT),
        ("a.PS1", b"Get-Item", FileKind.SCRIPT),
        ("a.bat", b"<html>", FileKind.SCRIPT),
        ("a.js", PDF, FileKind.PDF),
        ("a.eml", b"From: a@a.test\r\n\r\nhi", FileKind.MESSAGE),
        ("a.eml", b"From a@a.test Mon\nFrom: a@a.test\n\nhi", FileKind.MESSAGE),
        ("a.eml", b"hello", FileKind.TEXT),
        ("a.msi", OLE, FileKind.EXECUTABLE),
        ("a.jar", b"\xff\xd8\xff\xe0" + zipped(("a.class", b"x")), FileKind.ARCHIVE),
        ("a.jpg", b"\xff\xd8\xff\xe0" + zipped(("a.class", b"x")), FileKind.IMAGE),
    ],
)
def test_a_name_decides_where_programs_go_by_it(name: str, content: bytes, kind: FileKind) -> None:
    assert kind_of(content, (name,)) is kind


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"MZ", b"<svg", b"\xff\xfe", OLE[:8]])
)
def test_any_content_is_of_some_kind(content: bytes, start: bytes) -> None:
    assert kind_of(start + content, ("a.zip", "a.js")) in FileKind
