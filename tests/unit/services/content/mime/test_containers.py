"""Containers of every kind are opened within bounds, and what cannot be opened is never taken for empty."""

import bz2
import gzip
import io
import lzma
import random
import struct
import time
import zipfile

import pytest

from services.content.mime.containers import ContainerOpener
from services.content.mime.inspection import FaultKind, FileKind, Macro
from services.content.mime.kinds import kind_of
from services.content.mime.opener import Budget, Opened
from services.content.mime.walk import inspect
from shared.auth.message import split_message
from shared.policy.content import InspectionRules
from tests import packed
from tests.hostile import HEAD, TEXT, attachment, multipart

PROGRAM = b"MZ\x90\0" + bytes(range(256)) * 8
FILES = {"folder/invoice.pdf.exe": PROGRAM, "readme.txt": b"hello " * 50}
COMPRESSED = b"hello world " * 1000


def opened(content: bytes, name: str = "a.bin", rules: InspectionRules | None = None) -> Opened:
    opener = ContainerOpener(Budget.of(rules or InspectionRules()))
    return opener.open((name,), kind_of(content, (name,)), content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", packed.zipped(FILES)),
        ("stored.zip", packed.zipped(FILES, zipfile.ZIP_STORED)),
        ("lzma.zip", packed.zipped(FILES, zipfile.ZIP_LZMA)),
        ("stream.zip", packed.archive(FILES, "zip")),
        ("a.7z", packed.archive(FILES, "7zip")),
        ("a.tar", packed.archive(FILES, "gnutar")),
        ("a.tgz", packed.archive(FILES, "gnutar", "gzip")),
        ("a.tar.bz2", packed.archive(FILES, "gnutar", "bzip2")),
        ("a.tar.xz", packed.archive(FILES, "gnutar", "xz")),
        ("a.tar.zst", packed.archive(FILES, "gnutar", "zstd")),
        ("a.tar.lz4", packed.archive(FILES, "gnutar", "lz4")),
        ("a.tar.Z", packed.archive(FILES, "gnutar", "compress")),
        ("a.cpio", packed.archive(FILES, "cpio_newc")),
        ("a.iso", packed.archive(FILES, "iso9660", options="iso9660:rockridge=useful")),
        ("a.rar", packed.rar5(FILES)),
        ("old.rar", packed.rar4(FILES)),
        ("a.cab", packed.cab(FILES)),
        ("a.lha", packed.lha(FILES)),
        ("winmail.dat", packed.tnef(FILES)),
    ],
)
def test_files_are_found_in_archives_of_every_kind(name: str, content: bytes) -> None:
    got = opened(content, name)
    assert got.faults == ()
    assert {entry.names[0]: entry.content for entry in got.entries} == FILES
    assert not got.encrypted


@pytest.mark.parametrize(
    ("name", "content", "inner"),
    [
        ("notes.exe.gz", gzip.compress(PROGRAM), "notes.exe"),
        ("notes.exe.bz2", bz2.compress(PROGRAM), "notes.exe"),
        ("notes.exe.xz", lzma.compress(PROGRAM), "notes.exe"),
        ("notes.exe.lzma", lzma.compress(PROGRAM, lzma.FORMAT_ALONE), "notes.exe"),
    ],
)
def test_a_single_packed_file_has_the_name_without_the_packing(name: str, content: bytes, inner: str) -> None:
    (entry,) = opened(content, name).entries
    assert entry.names == (inner,)
    assert entry.content == PROGRAM


def test_a_gzip_file_has_the_name_that_its_header_says_too() -> None:
    content = bytearray(gzip.compress(PROGRAM))
    content[3] |= 8
    (entry,) = opened(bytes(content[:10]) + b"evil.scr\0" + bytes(content[10:]), "photo.jpg.gz").entries
    assert entry.names == ("evil.scr", "photo.jpg")


def test_a_disk_image_with_a_second_list_of_files_is_unreadable_in_part() -> None:
    image = bytearray(packed.archive(FILES, "iso9660", options="iso9660:rockridge=useful"))
    image[32_768 + 5 * 2048 + 1 : 32_768 + 5 * 2048 + 6] = b"NSR02"
    got = opened(bytes(image), "a.iso")
    assert {fault.kind for fault in got.faults} == {FaultKind.ARCHIVE_UNREADABLE}
    assert got.entries
    got = opened(b"vhdxfile" + bytes(4000) + packed.zipped(FILES), "a.vhdx")
    assert {fault.kind for fault in got.faults} == {FaultKind.ARCHIVE_UNREADABLE}


def test_an_archive_of_folders_alone_is_no_fault() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("folder/", b"")
    assert opened(out.getvalue(), "a.zip") == Opened()
    assert opened(packed.zipped({}), "a.zip") == Opened()


@pytest.mark.parametrize(
    "content",
    [
        b"**ACE**".rjust(14, b"x") + b"\0" * 50,
        b"\x60\xea" + b"\0" * 60,
        gzip.compress(COMPRESSED)[:40],
        b"\x1f\x8b\x08" + b"\xff" * 50,
        b"7z\xbc\xaf\x27\x1c" + b"\0\x04" + b"\xff" * 60,
        b"PK\x03\x04" + b"\xff" * 60,
        packed.rar5(FILES)[:60],
        b"\x78\x9f\x3e\x22\x01\0\x02\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"MSCF" + b"\xff" * 60,
        packed.archive(FILES, "7zip")[:-20],
        packed.archive({}, "7zip") + bytes(1000),
        b"PK\x05\x06" + bytes(18) + bytes(500),
    ],
)
def test_what_nobody_can_open_is_unreadable(content: bytes) -> None:
    assert FaultKind.ARCHIVE_UNREADABLE in {fault.kind for fault in opened(content).faults}


@pytest.mark.parametrize(
    "content",
    [
        packed.archive(FILES, "zip", options="zip:encryption=traditional", password="x"),
        packed.archive(FILES, "zip", options="zip:encryption=aes256", password="x"),
        packed.rar4(FILES, encrypted=True),
    ],
)
def test_encrypted_files_are_named_and_not_unpacked(content: bytes) -> None:
    got = opened(content)
    assert [entry.names[0] for entry in got.entries] == list(FILES)
    assert all(entry.encrypted and entry.content is None for entry in got.entries)
    assert got.faults == ()


@pytest.mark.parametrize(
    "content",
    [
        packed.seven_zip_with_encrypted_list(),
        packed.rar5(FILES, encrypted_list=True),
        packed.rar4(FILES, encrypted_list=True),
    ],
)
def test_an_encrypted_list_of_files_makes_the_whole_encrypted(content: bytes) -> None:
    got = opened(content)
    assert got.encrypted
    assert got.entries == ()


def test_a_name_in_the_header_alone_is_examined_too() -> None:
    content = packed.zip_with_two_names("letter.txt", "trojan.exe", PROGRAM)
    names = {name for entry in opened(content).entries for name in entry.names}
    assert names == {"letter.txt", "trojan.exe"}


def test_of_two_zips_in_a_row_both_are_opened() -> None:
    content = packed.zipped({"good.txt": b"x"}) + packed.zipped({"bad.exe": PROGRAM})
    assert {entry.names[0] for entry in opened(content).entries} == {"good.txt", "bad.exe"}
    content = packed.zipped({"bad.exe": PROGRAM}) + packed.zipped({"good.txt": b"x"})
    assert {entry.names[0] for entry in opened(content).entries} == {"good.txt", "bad.exe"}


def test_a_file_that_the_list_passes_over_is_found() -> None:
    two = packed.zipped({"bad.exe": PROGRAM, "good.txt": b"x"}, zipfile.ZIP_STORED)
    start = two.index(b"PK\x01\x02")
    second = two.index(b"PK\x01\x02", start + 4)
    end = bytearray(two[two.index(b"PK\x05\x06") :])
    struct.pack_into("<HH", end, 8, 1, 1)
    struct.pack_into("<II", end, 12, len(two) - len(end) - second, start)
    hidden = two[:start] + two[second : len(two) - len(end)] + bytes(end)
    assert {entry.names[0] for entry in opened(hidden).entries} == {"good.txt", "bad.exe"}


def test_the_unicode_name_of_a_zip_is_a_reading() -> None:
    info = zipfile.ZipInfo("letter.txt")
    info.extra = struct.pack("<HHBI", 0x7075, 5 + 8, 1, 0) + b"evil.exe"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as writer:
        writer.writestr(info, PROGRAM)
    (entry,) = opened(content.getvalue()).entries
    assert entry.names == ("letter.txt", "evil.exe")


@pytest.mark.parametrize("form", ["zip", "7zip", "gnutar"])
def test_no_more_files_are_opened_than_allowed(form: str) -> None:
    content = packed.archive({f"{number}.txt": b"x" for number in range(20)}, form)
    got = opened(content, rules=InspectionRules(archive_files=10))
    assert {fault.kind for fault in got.faults} == {FaultKind.ARCHIVE_EXCEEDED}
    assert len(got.entries) <= 10


@pytest.mark.parametrize("form", ["zip", "7zip"])
def test_no_more_bytes_are_unpacked_than_allowed(form: str) -> None:
    content = packed.archive({"a.bin": bytes(3_000_000)}, form)
    got = opened(content, rules=InspectionRules(unpacked_bytes=1_000_000, archive_ratio=100_000))
    assert {fault.kind for fault in got.faults} == {FaultKind.ARCHIVE_EXCEEDED}
    assert got.entries[0].content is None


@pytest.mark.parametrize("content", [packed.zipped({"a.bin": bytes(3_000_000)}), lzma.compress(bytes(3_000_000))])
def test_a_file_that_grows_too_much_is_a_bomb(content: bytes) -> None:
    assert {fault.kind for fault in opened(content, rules=InspectionRules(archive_ratio=20)).faults} == {
        FaultKind.ARCHIVE_EXCEEDED
    }


def test_a_small_file_is_no_bomb_whatever_its_ratio() -> None:
    assert opened(packed.zipped({"a.bin": bytes(500_000)}), rules=InspectionRules(archive_ratio=2)).faults == ()


def test_a_macro_that_runs_by_itself_and_starts_programs_is_suspicious() -> None:
    got = opened(packed.macro_document(), "order.docm")
    assert got.macro is Macro.SUSPICIOUS
    assert "AutoOpen" in got.macro_evidence
    assert "Shell" in got.macro_evidence
    assert got.entries == ()


def test_a_macro_that_only_counts_is_present() -> None:
    source = 'Attribute VB_Name = "ThisDocument"\nSub Total()\n    x = 1 + 2\nEnd Sub\n'
    assert opened(packed.macro_document(source), "order.docm").macro is Macro.PRESENT


def test_a_project_of_macros_by_itself_is_examined() -> None:
    assert opened(packed.vba_project(packed.MACRO), "vbaProject.bin").macro is Macro.SUSPICIOUS


def test_a_document_without_macros_has_none_and_its_own_parts_are_no_files() -> None:
    got = opened(packed.docx({}), "letter.docx")
    assert (got.macro, got.entries, got.faults) == (Macro.NONE, (), ())


def test_a_file_that_lies_in_a_document_is_a_file() -> None:
    got = opened(packed.docx({"word/embeddings/run.exe": PROGRAM}), "letter.docx")
    assert [entry.names for entry in got.entries] == [("word/embeddings/run.exe",)]


def test_a_document_in_a_document_makes_no_difference() -> None:
    inner = packed.docx({})
    info = zipfile.ZipInfo("word/embeddings/sheet.xlsx")
    out = io.BytesIO(packed.docx({}))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(info, inner)
    assert [entry.names[0] for entry in opened(out.getvalue(), "letter.docx").entries] == [info.filename]


def test_of_a_document_that_programs_read_differently_what_is_harmful_is_found() -> None:
    content = packed.docx({"word/a.xml": PROGRAM})
    content = content.replace(b"word/a.xml", b"word/b.xml", 1)
    got = opened(content, "letter.docx")
    assert "word/b.xml" in {name for entry in got.entries for name in entry.names}


def test_a_template_from_elsewhere_is_suspicious() -> None:
    relation = (
        '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
        'attachedTemplate" Target="http://a.test/x.dotm" TargetMode="External"/>'
    )
    got = opened(packed.docx({}, relation), "letter.docx")
    assert got.macro is Macro.SUSPICIOUS
    assert "attachedTemplate" in got.macro_evidence


def test_a_link_to_a_page_is_not_suspicious() -> None:
    relation = (
        '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink" '
        'Target="http://a.test/" TargetMode="External"/>'
    )
    assert opened(packed.docx({}, relation), "letter.docx").macro is Macro.NONE


def test_a_file_packed_in_rtf_is_found_and_suspicious() -> None:
    got = opened(packed.rtf_with_package("run.exe", PROGRAM), "letter.rtf")
    assert got.macro is Macro.SUSPICIOUS
    assert [(entry.names, entry.content) for entry in got.entries] == [(("run.exe",), PROGRAM)]


def test_rtf_without_objects_has_nothing() -> None:
    assert opened(b"{\\rtf1 hello}", "letter.rtf") == Opened()


def test_macros_without_their_source_are_suspicious() -> None:
    content = packed.vba_project(packed.MACRO)
    got = opened(content[:2048] + bytes(len(content)), "a.doc")
    assert (got.macro, got.macro_evidence) == (Macro.SUSPICIOUS, "macros whose source cannot be read")


def test_a_compound_file_in_which_nothing_is_found_is_unreadable() -> None:
    got = opened(packed.vba_project(packed.MACRO)[:512] + bytes(range(256)) * 20, "a.doc")
    assert {fault.kind for fault in got.faults} == {FaultKind.ARCHIVE_UNREADABLE}


def test_excel_4_macros_are_macros() -> None:
    assert opened(packed.excel_with_macro_sheet(automatic=False), "a.xls").macro is Macro.PRESENT
    got = opened(packed.excel_with_macro_sheet(automatic=True), "a.xls")
    assert (got.macro, got.macro_evidence) == (
        Macro.SUSPICIOUS,
        "Excel 4 macros that run by themselves (Auto_Open)",
    )


def test_excel_4_macros_in_a_package_are_macros() -> None:
    parts = {"xl/workbook.xml": b'<definedName name="_xlnm.Auto_Open">', "xl/macrosheets/sheet1.xml": b"<x/>"}
    assert opened(packed.docx(parts), "a.xlsm").macro is Macro.SUSPICIOUS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.msg", packed.saved_message("invoice.exe", PROGRAM)),
        ("a.doc", packed.document_with_package("invoice.exe", PROGRAM)),
    ],
)
def test_files_in_compound_files_are_found(name: str, content: bytes) -> None:
    (entry,) = opened(content, name).entries
    assert entry.names[0] == "invoice.exe"
    assert entry.content == PROGRAM


def test_a_file_in_a_note_is_found() -> None:
    assert [entry.content for entry in opened(packed.note(PROGRAM), "a.one").entries] == [PROGRAM]


def test_a_document_with_a_password_is_encrypted() -> None:
    got = opened(packed.encrypted_document(), "a.docx")
    assert (got.encrypted, got.faults) == (True, ())


def test_a_damaged_document_is_unreadable() -> None:
    for whole in (packed.vba_project(packed.MACRO), packed.macro_document()):
        got = opened(whole[:600], "a.doc")
        assert FaultKind.ARCHIVE_UNREADABLE in {fault.kind for fault in got.faults}


def test_garbage_that_calls_itself_a_document_does_not_raise() -> None:
    for head in (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf1{\\*\\objdata ff", b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d"):
        opened(head + bytes(range(256)) * 8, "a.doc")


EVERY_KIND = [
    *(packed.zipped(FILES), packed.archive(FILES, "7zip"), packed.archive(FILES, "gnutar", "gzip"), packed.rar5(FILES)),
    *(packed.rar4(FILES), packed.cab(FILES), packed.lha(FILES), packed.tnef(FILES), packed.macro_document()),
    *(packed.vba_project(packed.MACRO), packed.rtf_with_package("a.exe", PROGRAM), packed.note(PROGRAM)),
    *(packed.saved_message("a.exe", PROGRAM), packed.document_with_package("a.exe", PROGRAM), packed.docx({})),
    *(packed.excel_with_macro_sheet(automatic=True), packed.encrypted_document()),
]


@pytest.mark.parametrize("content", EVERY_KIND)
def test_no_change_of_a_container_raises_or_takes_long(content: bytes) -> None:
    chance = random.Random(content[:8] + b"4")
    for _ in range(40):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 2, 8))):
            place = chance.randrange(len(changed))
            match chance.randrange(4):
                case 0:
                    del changed[place : place + chance.randrange(1, 40)]
                case 1:
                    changed[place:place] = changed[place : place + chance.randrange(1, 100)]
                case _:
                    changed[place] = chance.choice((0, 1, 255, chance.randrange(256)))
            changed = changed or bytearray(content)
        begun = time.thread_time()
        for kind in (FileKind.OFFICE, FileKind.ARCHIVE):
            ContainerOpener(Budget.of(InspectionRules())).open(("a.bin",), kind, bytes(changed))
        assert time.thread_time() - begun < 1


def test_files_in_archives_in_archives_are_walked() -> None:
    content = packed.zipped({"b.7z": packed.archive({"c.tgz": packed.archive(FILES, "gnutar", "gzip")}, "7zip")})
    message = split_message(HEAD + multipart(TEXT, attachment(content, "a.zip")))
    seen = inspect(message, ContainerOpener(Budget.of(InspectionRules())))
    assert seen.faults == ()
    (program,) = [one for one in seen.attachments if one.kind is FileKind.EXECUTABLE]
    assert program.path[:2] == ("a.zip", "b.7z")
    assert program.names == ("invoice.pdf.exe",)


def test_archives_beyond_the_depth_stay_closed_with_a_fault() -> None:
    content = PROGRAM
    for _ in range(8):
        content = packed.zipped({"a.zip": content})
    message = split_message(HEAD + multipart(TEXT, attachment(content, "a.zip")))
    seen = inspect(message, ContainerOpener(Budget.of(InspectionRules(archive_depth=3))))
    assert [fault.kind for fault in seen.faults] == [FaultKind.ARCHIVE_EXCEEDED]
