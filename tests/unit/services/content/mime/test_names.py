"""Rules of file names: every reading that some client has, the usual one first, and what is shown of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.mime.disguise import disguise
from services.content.mime.fields import read_fields
from services.content.mime.inspection import MAX_NAME_CHARACTERS, FileKind
from services.content.mime.names import MAX_READINGS, name_readings, part_names, shown


def names(disposition: str = "", content_type: str = "") -> tuple[str, ...]:
    fields = [(b"content-disposition", disposition.encode()), (b"content-type", content_type.encode())]
    return part_names(read_fields([field for field in fields if field[1]]).named)


@pytest.mark.parametrize(
    ("disposition", "content_type", "usual"),
    [
        ('attachment; filename="a.pdf"', "", "a.pdf"),
        ("attachment; filename=a.pdf", "", "a.pdf"),
        ("attachment; FILENAME = a.pdf", "", "a.pdf"),
        ("attachment;filename=a b.pdf;size=1", "", "a b.pdf"),
        ("attachment;\r\n\tfilename=\r\n\t a.pdf", "", "a.pdf"),
        ("", 'application/pdf; name="a.pdf"', "a.pdf"),
        ("attachment; filename*=UTF-8''%C3%84%20b.pdf", "", "Ä b.pdf"),
        ("attachment; filename*=iso-8859-1'de'%C4.pdf; filename=x.pdf", "", "Ä.pdf"),
        ("attachment; filename*=%C3%84.pdf", "", "Ä.pdf"),
        ('attachment; filename*0=a; filename*1="b.pdf"', "", "ab.pdf"),
        ("attachment; filename*1=b.pdf; filename*0=a", "", "ab.pdf"),
        ("attachment; filename*0*=utf-8''%C3%84; filename*1=\"%.pdf\"", "", "Ä%.pdf"),
        ('attachment; filename="=?UTF-8?B?w4QucGRm?="', "", "Ä.pdf"),
        ('attachment; filename="=?UTF-8?Q?=C3=84?= =?UTF-8?Q?=2Epdf?="', "", "Ä.pdf"),
        ('attachment; filename="=?nonsense?Q?a=2Epdf?="', "", "a.pdf"),
        (r'attachment; filename="C:\folder\a.pdf"', "", "a.pdf"),
        ('attachment; filename="../../a.pdf"', "", "a.pdf"),
        ('attachment; filename="Ä.pdf"', "", "Ä.pdf"),
        ('attachment; filename=""', "", None),
        ("attachment", "text/plain; charset=utf-8", None),
    ],
)  # fmt: skip
def test_the_usual_reading_is_the_first(disposition: str, content_type: str, usual: str | None) -> None:
    assert (*names(disposition, content_type), None)[0] == usual


@pytest.mark.parametrize(
    ("disposition", "content_type"),
    [
        ('attachment; filename="a.pdf"', 'a/b; name="x.exe"'),
        ('attachment; filename="a.pdf"; filename="x.exe"', ""),
        ("attachment; filename=a.pdf; filename*=utf-8''x.exe", ""),
        ("attachment; filename=x.exe; filename*=utf-8''a.pdf", ""),
        ("attachment; filename=a.pdf; filename*0=x.; filename*1=exe", ""),
        ("attachment; filename*0=x.exe; filename*2=.pdf", ""),
        ("attachment; filename*0=x.; filename*1=exe; filename*1=pdf", ""),
        ("attachment; filename*0=x.; filename*1=pdf; filename*1=exe", ""),
        ('attachment; filename="x.exe%00.pdf"', ""),
        ('attachment; filename="x.exe. . "', ""),
        ('attachment; filename="x.exe\u3000"', ""),
        ('attachment; filename="x%2Eexe"', ""),
        ('attachment; filename="=?utf-8?Q?x=2Eexe?="', ""),
        ('attachment; filename="=?utf-8?B?PT91dGYtOD9RP3g9MkVleGU/PQ==?="', ""),
        ('attachment; filename="=?utf-7?Q?x+AC4-exe?="', ""),
        ("attachment; filename*=utf-7''x+AC4-exe", ""),
        ('attachment; filename="x.e\u200bxe"', ""),
        ('attachment; filename="x\uff0eｅｘｅ"', ""),
        ('attachment; filename="x.exe/"', ""),
        ('attachment; filename="x.exe::$DATA"', ""),
        ('attachment; filename="a.txt:x.exe"', ""),
        ('attachment; filename="a.pdf/x.exe"', ""),
        (r'attachment; filename="x\.exe"', ""),
        ('attachment; filename="x.exe', ""),
        ("attachment; filename='x.exe'", ""),
        ("attachment; filename=x.exe;.pdf", ""),
        ('attachment; filename="x".exe', ""),
        ("attachment; filename=x.exe(comment)", ""),
        ("attachment filename=x.exe", ""),
        ("attachment; (filename=x.exe)", ""),
    ],
)  # fmt: skip
def test_a_program_by_any_reading_is_one(disposition: str, content_type: str) -> None:
    assert "x.exe" in names(disposition, content_type)


def test_a_long_name_keeps_its_beginning_and_its_extensions() -> None:
    [name] = names(f'attachment; filename="{"a" * 9000}.pdf.exe"')
    assert len(name) == MAX_NAME_CHARACTERS
    assert name.startswith("aaa")
    assert name.endswith("a.pdf.exe")


def test_names_that_are_no_text_can_be_carried_all_the_same() -> None:
    assert name_readings(["a\ud800.exe"]) == ("a?.exe",)


def test_too_many_readings_are_told_by_one_more() -> None:
    assert len(name_readings([f"a{number}.txt" for number in range(100)])) == MAX_READINGS + 1


@given(
    st.lists(
        st.text(max_size=300) | st.sampled_from(["=?utf-16?B?2AA=?=", "%", "=?u?q?=?=", "/", "..", "\0"]), max_size=5
    )
)
def test_every_name_can_be_read_and_shown(texts: list[str]) -> None:
    for name in name_readings(texts):
        assert 0 < len(name) <= MAX_NAME_CHARACTERS
        assert len(shown(name)) <= 80


@given(st.text(max_size=300))
def test_what_is_shown_has_no_control_or_turning_characters(text: str) -> None:
    assert not set(shown(text)) & set(map(chr, [*range(32), *range(127, 160), *range(0x202A, 0x202F), 0x200B, 0xFEFF]))


@pytest.mark.parametrize(
    "name",
    [
        "invoice.pdf.exe", "photo.jpg                                  .scr", "photo.jpg.scr", "a.doc .js", "a.txt_.vbs",
        "holiday\u202egpj.exe", "report\u2067x.txt", "a.e\u200bxe", "statement.pdf.html", "page.xlsx.svg",
        "a.PDF.EXE", "a.mp3.lnk", "name      .exe",
    ],
)  # fmt: skip
def test_a_name_that_hides_what_the_file_is_is_a_disguise(name: str) -> None:
    assert disguise(name_readings([name]), FileKind.UNKNOWN)


@pytest.mark.parametrize(
    "name",
    [
        "invoice.pdf", "setup.exe", "archive.tar.gz", "jquery.min.js", "report.v1.2.docx", "a.pdf.zip", "x.example.com",
        "photo.jpg", "Übersicht.pdf", "می\u200cخواهم.pdf", "a.pdf.p7s", "letter.doc.pdf", "notes.txt.gz", "index.html",
        "page.min.html", "mail.eml", "data.json.txt", "1.2.3.txt", "pdf.exe", "README.md.html",
    ],
)  # fmt: skip
def test_an_honest_name_is_none(name: str) -> None:
    assert not disguise(name_readings([name]), FileKind.UNKNOWN)


@pytest.mark.parametrize("kind", [FileKind.EXECUTABLE, FileKind.SCRIPT, FileKind.SHORTCUT])
def test_a_program_named_as_a_document_is_disguised(kind: FileKind) -> None:
    assert disguise(("a.pdf",), kind)
    assert disguise(("a.jpg",), kind)
    assert not disguise(("a.exe",), kind)
    assert not disguise(("build.sh",), kind)
    assert not disguise((), kind)
