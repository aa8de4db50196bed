"""Ways around the examination of files that once worked: each must still be seen, by the policy that comes with us."""

import base64
import gzip
import string
import zipfile
import zlib

import pytest

from services.content.checks.attachments import attachments_finding
from services.content.checks.structure import structure_findings
from services.content.mime.containers import ContainerOpener
from services.content.mime.opener import Budget
from services.content.mime.walk import inspect
from services.content.weigh.attachments import weigh_attachments
from services.content.weigh.plain import weigh_plain
from shared.auth.message import split_message
from shared.policy.checks import Checks
from shared.policy.content import InspectionRules
from shared.verdict import PRECEDENCE, Action, Verdict, verdict_facts
from tests import packed
from tests.hostile import CRLF, HEAD, TEXT, multipart

PROGRAM = b"MZ\x90\0" + bytes(range(256)) * 4
EVIL = {"evil.exe": PROGRAM}
GOOD = {"a.txt": b"hello"}
PICTURE = b"GIF89a\x01\0\x01\0\0\0\0;"
RAR, SEVEN_ZIP, ZIP = packed.rar5(EVIL), packed.archive(EVIL, "7zip"), packed.zipped(EVIL)
SCRIPT = b"new ActiveXObject('WScript.Shell').Run('calc')\r\n"
ATTACHED_TEMPLATE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"


def verdict(message: bytes) -> Verdict:
    """What the files and the form of a message come to by the defaults."""
    split = split_message(message)
    seen = inspect(split, ContainerOpener(Budget.of(InspectionRules())))
    rules = Checks()
    weighed = weigh_attachments(attachments_finding(seen), rules.attachments, "checks")
    for finding in structure_findings(split, seen):
        weighed += weigh_plain(finding, rules.structure, "checks.structure")
    reasons = sorted((one.reason for one in weighed), key=lambda reason: PRECEDENCE.index(reason.action))
    return Verdict(reasons[0].action, tuple(reasons))


def action(message: bytes) -> Action:
    return verdict(message).action


def part(content: bytes, name: str | None = None, kind: str = "application/octet-stream") -> bytes:
    disposition = "attachment" if name is None else f'attachment; filename="{name}"'
    head = f"Content-Type: {kind}\r\nContent-Disposition: {disposition}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(content).replace(b"\n", CRLF)


def mail(content: bytes, name: str | None = None, kind: str = "application/octet-stream") -> bytes:
    return HEAD + multipart(TEXT, part(content, name, kind))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.rar", PICTURE + RAR),
        ("a.rar", b"%PDF-1.4\n" + RAR),
        ("a.rar", b"hello\r\n" * 5 + RAR),
        ("a.rar", b"{\\rtf1 hello}" + RAR),
        ("a.rar", packed.zipped(GOOD) + RAR),
        ("a.rar", packed.archive(GOOD, "7zip") + RAR),
        ("a.rar", packed.cab(GOOD) + RAR),
        ("a.7z", PICTURE + SEVEN_ZIP),
        ("a.7z", b"hello\r\n" * 5 + SEVEN_ZIP),
        ("a.7z", packed.zipped(GOOD) + SEVEN_ZIP),
        ("a.zip", PICTURE + ZIP),
        ("a.zip", b"{\\rtf1 hello}" + ZIP),
        ("a.zip", gzip.compress(b"") + ZIP),
        ("a.zip", gzip.compress(b"hello") + ZIP),
        ("a.zip", packed.rar5(GOOD) + ZIP),
        ("a.zip", packed.archive(GOOD, "7zip") + ZIP),
        ("a.zip", packed.archive(GOOD, "gnutar") + ZIP),
        ("a.zip", packed.cab(GOOD) + ZIP),
    ],
)
def test_an_archive_behind_something_else_is_opened_if_the_name_promises_one(name: str, content: bytes) -> None:
    assert action(mail(content, name)) is Action.REFUSE


def test_a_picture_that_also_holds_an_archive_stays_a_picture() -> None:
    assert action(mail(PICTURE + RAR, "a.gif")) is Action.ACCEPT


@pytest.mark.parametrize("name", ["printersettings1.exe", "word/printersettings.js", "xl/printerSettings/a.bin.exe"])
def test_a_program_among_printer_settings_is_a_file(name: str) -> None:
    assert action(mail(packed.docx({name: PROGRAM}), "a.zip")) is Action.REFUSE


def test_printer_settings_are_no_file() -> None:
    assert action(mail(packed.docx({"xl/printerSettings/printerSettings1.bin": b"x" * 50}), "a.docx")) is Action.ACCEPT


def _active_mime() -> bytes:
    return b"ActiveMime" + bytes(0x32 - 10) + zlib.compress(packed.vba_project(packed.MACRO))


def _web_archive() -> bytes:
    macros = (
        b"Content-Location: file:///C:/1/a.mso\r\nContent-Type: application/x-mso\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(_active_mime()).replace(b"\n", CRLF)
    )
    return b"MIME-Version: 1.0\r\n" + multipart(b"Content-Type: text/html\r\n\r\n<html></html>\r\n", macros)


def _word_xml() -> bytes:
    return (
        b'<?xml version="1.0"?>\r\n<?mso-application progid="Word.Document"?>\r\n<w:wordDocument '
        b'xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"><w:docSuppData>'
        b'<w:binData w:name="editdata.mso">' + base64.encodebytes(_active_mime()) + b"</w:binData></w:docSuppData>"
        b"</w:wordDocument>"
    )


def _flat_xml() -> bytes:
    project = base64.encodebytes(packed.vba_project(packed.MACRO))
    return (
        b'<?xml version="1.0"?><pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage">'
        b'<pkg:part pkg:name="/word/vbaProject.bin" pkg:contentType="application/vnd.ms-office.vbaProject">'
        b"<pkg:binaryData>" + project + b"</pkg:binaryData></pkg:part></pkg:package>"
    )


SYLK = b'ID;P\r\nO;E\r\nNN;NAuto_open;ER101C1\r\nC;X1;Y101;K0;EEXEC("calc.exe")\r\nE\r\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mht", _web_archive()),
        ("a.doc", _web_archive()),
        ("a.xls", b"anything\r\n\r\n" + _web_archive()),
        ("a.mso", _active_mime()),
        ("a.doc", _word_xml()),
        ("a.xml", _word_xml()),
        ("a.doc", _flat_xml()),
        ("a.xml", _flat_xml().decode().encode("utf-16")),
        ("a.slk", SYLK),
        ("a.xls", SYLK),
    ],
)
def test_macros_in_documents_that_are_text_are_seen(name: str, content: bytes) -> None:
    assert action(mail(content, name)) in (Action.REFUSE, Action.QUARANTINE)


def test_a_sylk_file_without_macros_is_accepted() -> None:
    assert action(mail(b"ID;PWXL;N;E\r\nP;PGeneral\r\nO;L;D\r\nNN;NTotal;ER1C1\r\nC;Y1;X1;K5\r\nE\r\n", "a.slk")) is (
        Action.ACCEPT
    )


@pytest.mark.parametrize(
    "relation",
    [
        f"<Relationship Id='r1' Type='{ATTACHED_TEMPLATE}' Target='http://e.test/x.dotm' TargetMode='External'/>",
        f'<Relationship Id="r" Type="{ATTACHED_TEMPLATE}" Target="&#104;ttp://e.test/x" TargetMode="External"/>',
        f'<Relationship Id="r" Type="{ATTACHED_TEMPLATE[:-1]}&#x65;" Target="http://e.test" TargetMode="External"/>',
        f'<Relationship Id="r>1" Type="{ATTACHED_TEMPLATE}" Target="http://e.test/x" TargetMode="External"/>',
        f'<Relationship {" " * 500}Type="{ATTACHED_TEMPLATE}" Target="http://e.test/x" TargetMode="External"/>',
        "<!--" + "a" * 1_100_000 + "-->"
        f'<Relationship Id="r" Type="{ATTACHED_TEMPLATE}" Target="http://e.test/x" TargetMode="External"/>',
    ],
    ids=["single quotes", "entity in the target", "entity in the type", "greater-than", "blanks", "padding"],
)
@pytest.mark.parametrize("charset", ["utf-8", "utf-16"])
def test_a_template_from_elsewhere_is_seen_however_it_is_written(relation: str, charset: str) -> None:
    text = f"<Relationships>{relation}</Relationships>".encode(charset)
    assert action(mail(packed.docx({"word/_rels/settings.xml.rels": text}), "a.docx")) is Action.REFUSE


def test_excel_4_macros_are_seen_where_the_workbook_has_another_name() -> None:
    parts = {"[Content_Types].xml": b"<Types/>", "xl/wb.xml": b"<workbook/>", "xl/macrosheets/s1.xml": b"<x/>"}
    assert action(mail(packed.zipped(parts), "a.xlsx")) is Action.QUARANTINE


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("application/hta", None),
        ("application/x-javascript", None),
        ("application/x-javascript", "invoice"),
        ("text/vbscript", None),
        ("application/x-msdownload", None),
        ("application/java-archive", None),
    ],
)
def test_a_file_without_an_extension_has_that_of_its_type(kind: str, name: str | None) -> None:
    assert action(mail(SCRIPT, name, kind)) is Action.REFUSE


def test_smime_is_known_by_its_name_whatever_its_type() -> None:
    assert action(mail(b"\x30\x80" + bytes(100), "smime.p7m")) is Action.TAG


def test_a_script_in_a_note_has_the_name_that_stands_elsewhere_in_the_note() -> None:
    note = packed.note(SCRIPT)
    assert action(mail(note + "open me.js".encode("utf-16-le") + b"\0\0", "a.one")) is Action.REFUSE
    assert action(mail(note + "open me.txt".encode("utf-16-le") + b"\0\0", "a.one")) is Action.ACCEPT


def _yenc(content: bytes) -> bytes:
    body = content.translate(bytes((value + 42) & 255 for value in range(256)))
    for value in (0x3D, 0, 0x0A, 0x0D):
        body = body.replace(bytes([value]), bytes([0x3D, value + 64]))
    return b"=ybegin line=128 size=%d name=evil.bin\r\n" % len(content) + body + b"\r\n=yend\r\n"


_BINHEX = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


def _binhex(name: bytes, content: bytes) -> bytes:
    head = bytes([len(name)]) + name + b"\0APPL????\0\0" + len(content).to_bytes(4, "big") + bytes(6)
    data = (head + content + b"\0\0").replace(b"\x90", b"\x90\0")
    letters = base64.b64encode(data).decode().rstrip("=").translate(str.maketrans(_BASE64, _BINHEX))
    lines = "\r\n".join(letters[at : at + 64] for at in range(0, len(letters), 64))
    return f"(This file must be converted with BinHex 4.0)\r\n\r\n:{lines}:\r\n".encode()


def _calendar(name: str) -> bytes:
    line = f'ATTACH;X-FILENAME="{name}";ENCODING=BASE64;VALUE=BINARY:{base64.b64encode(PROGRAM).decode()}'
    folded = "\r\n ".join(line[at : at + 70] for at in range(0, len(line), 70))
    return f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{folded}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".encode()


@pytest.mark.parametrize(
    "message",
    [
        HEAD + CRLF + _yenc(PROGRAM),
        HEAD + CRLF + _binhex(b"a.bin", PROGRAM),
        HEAD + CRLF + _binhex(b"evil.exe", b"hello"),
        HEAD + b"Content-Type: text/calendar; method=REQUEST\r\n\r\n" + _calendar("a: evil.exe"),
        mail(_calendar("a.dat"), "a.ics"),
    ],
    ids=["yEnc", "BinHex", "a name in BinHex", "an invitation", "a calendar file"],
)
def test_files_encoded_within_a_text_are_files(message: bytes) -> None:
    assert action(message) is Action.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        b"ATTACH;" + b"ENCODING=BASE64" * 130,
        b"=ybegin " + b"line=1 " * 300,
        b"(This file must be converted with BinHex",
        b"mime-version" + b" " * 2000,
        b"<Relationship " + b"a='" * 600,
    ],
)
def test_texts_that_only_look_like_files_take_no_time(text: bytes) -> None:
    body = b"BEGIN:VCALENDAR\r\n" + (text + CRLF) * (400_000 // len(text))
    assert action(HEAD + b"Content-Type: text/calendar\r\n\r\n" + body) is Action.ACCEPT


def test_the_reasons_of_files_stay_small_whatever_their_names() -> None:
    name = "\U0001f600" * 70
    files = {f"{name}{number}.{end}": PROGRAM for number in range(3) for end in ("exe", "pdf.exe", "scr")}
    files |= {f"{name}{number}.doc": packed.macro_document() for number in range(3)}
    content = packed.zipped(files)
    for number in range(4):
        content = packed.zipped({f"{name}{number}.zip": content})
    # The header of a message has 120,000 bytes for all, of which edge may use 90,000.
    assert len(str(verdict_facts(verdict(mail(content, f"{name}.zip")))).encode()) < 12_000


def test_a_comment_before_an_encoding_hides_nothing() -> None:
    assert action(HEAD + multipart(TEXT, part(PROGRAM, "a.dat").replace(b"ing: base64", b"ing: (x) base64"))) is (
        Action.REFUSE
    )


def test_a_message_as_apple_mail_stores_it_is_read() -> None:
    assert action(mail(b"1234      \n" + mail(PROGRAM, "a.dat"), "a.emlx")) is Action.REFUSE


def test_lone_line_ends_in_a_header_are_ambiguous() -> None:
    message = mail(PROGRAM, "a.dat")
    for lone in (b"\n", b"\r"):
        assert action(message.replace(CRLF, lone)) is Action.REFUSE
        assert action(HEAD.replace(CRLF, lone) + message[len(HEAD) :]) is Action.REFUSE


def _open_document(content: bytes, *modules: str) -> bytes:
    parts = {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": content}
    parts |= dict.fromkeys((*modules, "META-INF/manifest.xml"), b"<x/>")
    return packed.zipped(parts, zipfile.ZIP_STORED)


@pytest.mark.parametrize(
    ("content", "modules", "expected"),
    [
        (b"<x/>", ("Basic/Standard/Module1.xml", "Basic/script-lc.xml"), Action.QUARANTINE),
        (b"<x/>", ("Scripts/python/a.txt",), Action.QUARANTINE),
        (b"<script:event-listener/>", ("Basic/Standard/Module1.xml",), Action.REFUSE),
        (b"<x/>", ("Basic/script-lc.xml", "Basic/Standard/script-lb.xml"), Action.ACCEPT),
        (b"<x/>", ("Thumbnails/thumbnail.png",), Action.ACCEPT),
    ],
)
def test_macros_in_open_documents_are_macros(content: bytes, modules: tuple[str, ...], expected: Action) -> None:
    assert action(mail(_open_document(content, *modules), "a.odt")) is expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (rb"http://e.test/x.dotm", Action.REFUSE),
        (rb"\\\\e.test\\share\\x.dotm", Action.REFUSE),
        (rb"\'68\'74\'74\'70://e.test/x.dotm", Action.REFUSE),
        (rb"\u104?\u116?\u116 ?\u-65424?://e.test", Action.REFUSE),
        (rb"C:\\Users\\j\'f6rg\\Normal.dotm", Action.ACCEPT),
    ],
)
def test_a_template_of_rtf_from_elsewhere_is_seen(template: bytes, expected: Action) -> None:
    for start in (b"", b" \r\n"):
        assert action(mail(start + b"{\\rtf1{\\*\\template " + template + b"}hello}", "a.doc")) is expected
