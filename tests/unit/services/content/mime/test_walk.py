"""Rules of the walk: ordinary mail is read as it is, and no trick hides a program from it."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.mime.inspection import Attachment, FaultKind, FileKind, Inspection
from services.content.mime.opener import Budget, Entry, Opened
from services.content.mime.walk import inspect, needs_opener
from shared.auth.message import split_message
from tests.unit.services.content.mime.letters import ORDINARY, PROGRAM

TOP = b"From: a@a.test\r\nMIME-Version: 1.0\r\n"


def base64_lines(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


BASE64_PROGRAM = base64_lines(PROGRAM)
PROGRAM_PART = (
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="a.exe"\r\n\r\n' + BASE64_PROGRAM
)


class FakeOpener:
    """Gives what a container is said to hold, by the container's content."""

    def __init__(self, holds: dict[bytes, Opened], depth: int = 5) -> None:
        self.holds = holds
        self.budget = Budget(depth, 1000, 200, 1_000_000)
        self.opened: list[tuple[tuple[str, ...], FileKind]] = []

    def open(self, names: tuple[str, ...], kind: FileKind, content: bytes) -> Opened:
        self.opened.append((names, kind))
        return self.holds.get(content, Opened())


def seen(data: bytes) -> Inspection:
    return inspect(split_message(data))


def kinds(inspection: Inspection) -> set[FaultKind]:
    return {fault.kind for fault in inspection.faults}


def programs(inspection: Inspection) -> list[Attachment]:
    return [one for one in inspection.attachments if one.kind is FileKind.EXECUTABLE]


@pytest.mark.parametrize("what", ORDINARY)
def test_ordinary_mail_is_read_without_a_fault(what: str) -> None:
    data, names = ORDINARY[what]
    inspection = seen(data)
    assert inspection.faults == ()
    assert tuple((one.names or ("",))[0] for one in inspection.attachments) == names


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    between = b"\r\n--" + boundary + b"\r\n"
    return b"--" + boundary + b"\r\n" + between.join(parts) + b"\r\n--" + boundary + b"--\r\n"


def mixed(*parts: bytes, field: bytes = b'Content-Type: multipart/mixed; boundary="b"\r\n') -> bytes:
    return TOP + field + b"\r\n" + multipart(*parts)


TEXT_PART = b"Content-Type: text/plain\r\n\r\nhello"


def test_numbers_are_those_of_imap() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + multipart(TEXT_PART, PROGRAM_PART, boundary=b"c")
    letter = b"Content-Type: message/rfc822\r\n\r\nFrom: a@a.test\r\n" + inner
    single = b"Content-Type: message/rfc822\r\n\r\nFrom: a@a.test\r\n" + PROGRAM_PART
    inspection = seen(mixed(TEXT_PART, PROGRAM_PART, inner, letter, single))
    assert [(one.part, one.kind) for one in inspection.attachments] == [
        ("4", FileKind.MESSAGE),
        ("5", FileKind.MESSAGE),
        ("2", FileKind.EXECUTABLE),
        ("3.2", FileKind.EXECUTABLE),
        ("4.2", FileKind.EXECUTABLE),
        ("5.1", FileKind.EXECUTABLE),
    ]
    assert inspection.parts == 12


def test_the_message_itself_is_part_1() -> None:
    [attachment] = seen(TOP + PROGRAM_PART).attachments
    assert (attachment.part, attachment.names) == ("1", ("a.exe",))


def test_texts_and_what_shows_them_are_no_attachments_unless_named() -> None:
    parts = (TEXT_PART, b"Content-Type: text/html\r\n\r\n<html>", b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n")
    assert seen(mixed(*parts)).attachments == ()
    named = b"Content-Type: text/plain; name=notes.txt\r\n\r\nhello"
    disposed = b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nhello"
    assert [one.part for one in seen(mixed(named, disposed)).attachments] == ["1", "2"]


UU = b"begin 644 a.exe\r\n" + b"".join(
    binascii.b2a_uu(PROGRAM[at : at + 45]).replace(b"\n", b"\r\n") for at in range(0, len(PROGRAM), 45)
)
UU_END = b"`\r\nend\r\n"
QP_PROGRAM = b"".join(b"=%02X" % octet for octet in PROGRAM)
ENCODED_LETTER = base64_lines(b"From: a@a.test\r\n" + PROGRAM_PART)
HIDING_PLACES = {
    "a part without a name": mixed(TEXT_PART, b"Content-Transfer-Encoding: base64\r\n\r\n" + BASE64_PROGRAM),
    "a picture by its type": mixed(
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + BASE64_PROGRAM
    ),
    "a text by its type": mixed(
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + BASE64_PROGRAM
    ),
    "a page by its type": mixed(b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" + BASE64_PROGRAM),
    "quoted-printable": mixed(
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + QP_PROGRAM
    ),
    "uuencode as an encoding": mixed(b"Content-Type: a/b\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n" + UU + UU_END),
    "a uuencoded file in the text": TOP + b"\r\nhello\r\n\r\n" + UU + UU_END + b"bye\r\n",
    "a uuencoded file without an end": TOP + b"\r\nhello\r\n\r\n" + UU,
    "the base64 form of uuencode": TOP + b"\r\nbegin-base64 644 a.exe\r\n" + BASE64_PROGRAM + b"====\r\n",
    "a uuencoded file before the first part": mixed(TEXT_PART).replace(b"\r\n\r\n--b", b"\r\n\r\n" + UU + UU_END + b"--b", 1),
    "a uuencoded file after the last part": mixed(TEXT_PART) + UU + UU_END,
    "base64 before the first part": mixed(TEXT_PART).replace(b"\r\n\r\n--b", b"\r\n\r\n" + BASE64_PROGRAM + b"\r\n--b", 1),
    "base64 after the last part": mixed(TEXT_PART) + b"\r\n" + BASE64_PROGRAM,
    "no last boundary": mixed(TEXT_PART, PROGRAM_PART).replace(b"--b--\r\n", b""),
    "parts after the last boundary": mixed(TEXT_PART) + multipart(PROGRAM_PART),
    "an attached message": mixed(b"Content-Type: message/rfc822\r\n\r\nFrom: a@a.test\r\n" + PROGRAM_PART),
    "an attached message for all the world": mixed(b"Content-Type: message/global\r\n\r\nFrom: a@a.test\r\n" + PROGRAM_PART),
    "an encoded attached message": mixed(
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + ENCODED_LETTER
    ),
    "an attached message said to be encoded": mixed(
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nFrom: a@a.test\r\n" + PROGRAM_PART
    ),
    "a message in a file": mixed(
        b"Content-Type: a/b; name=x.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64_lines(b"From: a@a.test\nSubject: x\n" + PROGRAM_PART.replace(b"\r\n", b"\n"))
    ),
    "a part of a digest": TOP
    + b"Content-Type: multipart/digest; boundary=b\r\n\r\n"
    + multipart(b"\r\nFrom: a@a.test\r\n" + PROGRAM_PART),
    "an encoded multipart": TOP
    + b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64_lines(multipart(PROGRAM_PART)),
    "a multipart in quoted-printable": TOP
    + b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + multipart(PROGRAM_PART).replace(b"--b", b"=2D-b").replace(b"=\r\n", b"=3D\r\n"),
    "padding within base64": mixed(
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n" + BASE64_PROGRAM
    ).replace(b"aGVsbG8=", base64.b64encode(b"")),
    "letters before padding": mixed(b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n=" + BASE64_PROGRAM),
    "other characters within base64": mixed(
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n!" + b"!".join([BASE64_PROGRAM[:5], BASE64_PROGRAM[5:]])
    ),
    "an encoding with a comment": mixed(b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64 (x)\r\n\r\n" + BASE64_PROGRAM),
    "an encoding in quotes": mixed(b'Content-Type: a/b\r\nContent-Transfer-Encoding: "base64"\r\n\r\n' + BASE64_PROGRAM),
    "an encoding folded": mixed(b"Content-Type: a/b\r\nContent-Transfer-Encoding:\r\n base64\r\n\r\n" + BASE64_PROGRAM),
    "an unknown encoding": mixed(b"Content-Type: a/b\r\nContent-Transfer-Encoding: x-b64\r\n\r\n" + BASE64_PROGRAM),
    "a field with a space before the colon": mixed(
        b"Content-Type : a/b\r\nContent-Transfer-Encoding : base64\r\n\r\n" + BASE64_PROGRAM
    ),
    "a part whose header ends at the next boundary": mixed(b"Content-Type: text/plain", PROGRAM_PART),
    "a boundary with spaces behind": mixed(TEXT_PART, PROGRAM_PART).replace(b"--b\r\n", b"--b \t\r\n"),
    "a boundary that begins like the one around it": mixed(
        b"Content-Type: multipart/mixed; boundary=bc\r\n\r\n" + multipart(PROGRAM_PART, boundary=b"bc")
    ),
    "a body that begins at a line of the header that is no field": TOP
    + PROGRAM_PART.replace(b"\r\n\r\n", b"\r\n")
    + b"\r\nhello",
    "a body that begins at a line of spaces in the header": TOP
    + PROGRAM_PART.replace(b"\r\n\r\n", b"\r\n \r\n")
    + b"\r\nhello",
    "a part's body that begins in its header": mixed(PROGRAM_PART.replace(b"\r\n\r\n", b"\r\n") + b"\r\nhello"),
    "a part's body that begins at a line of spaces": mixed(PROGRAM_PART.replace(b"\r\n\r\n", b"\r\n \r\n") + b"\r\nhello"),
    "an attached message that begins in a part's header": mixed(
        b"Content-Type: message/rfc822\r\n \r\nX: y\r\n" + PROGRAM_PART.partition(b"\r\n")[2]
    ),
    "a uuencoded file in the header": TOP + b"hello\r\n" + UU + UU_END + b"\r\nbye",
    "a boundary by a parameter without a semicolon": mixed(
        PROGRAM_PART, field=b"Content-Type: multipart/mixed charset=x boundary=b\r\n"
    ),
    "a boundary behind a comment": mixed(
        PROGRAM_PART, field=b'Content-Type: multipart/mixed (is "mixed"); boundary=b\r\n'
    ),
    "a boundary with escapes": mixed(PROGRAM_PART, field=b'Content-Type: multipart/mixed; boundary="\\b"\r\n'),
    "a boundary with a space at its end": mixed(PROGRAM_PART, field=b'Content-Type: multipart/mixed; boundary="b "\r\n'),
    "a boundary without the quote at its end": mixed(PROGRAM_PART, field=b'Content-Type: multipart/mixed; boundary="b\r\n'),
    "a type that has no subtype we know": mixed(PROGRAM_PART, field=b"Content-Type: multipart/x-y-z; boundary=b\r\n"),
    "a body that begins with the boundary after an empty header": b"\r\n" + TOP + PROGRAM_PART,
}  # fmt: skip


@pytest.mark.parametrize("where", [where for where in HIDING_PLACES if "empty header" not in where])
def test_a_program_is_found_wherever_some_client_finds_it(where: str) -> None:
    inspection = seen(HIDING_PLACES[where])
    assert programs(inspection), inspection
    assert FaultKind.AMBIGUOUS not in kinds(inspection)


AMBIGUOUS = {
    "two boundaries that both divide": TOP
    + b"Content-Type: multipart/mixed; boundary=b; boundary=c\r\n\r\n"
    + multipart(TEXT_PART)
    + multipart(PROGRAM_PART, boundary=b"c"),
    "two types": mixed(TEXT_PART, field=b"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b\r\n"),
    "two multiparts in one header": mixed(
        TEXT_PART, field=b"Content-Type: multipart/mixed; boundary=b\r\nContent-Type: multipart/mixed; boundary=c\r\n"
    )
    + multipart(PROGRAM_PART, boundary=b"c"),
    "two encodings": mixed(
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + BASE64_PROGRAM
    ),
    "a part behind a last boundary that begins like another": mixed(
        b"Content-Type: multipart/mixed; boundary=bc\r\n\r\n" + multipart(TEXT_PART, boundary=b"bc") + PROGRAM_PART
    ),
    "a line that begins like a boundary": mixed(TEXT_PART + b"\r\n--b: x\r\n" + PROGRAM_PART),
    "the same boundary within": mixed(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + multipart(PROGRAM_PART)),
    "a boundary and a boundary with hyphens": mixed(
        b"Content-Type: multipart/mixed; boundary=b--\r\n\r\n" + multipart(PROGRAM_PART, boundary=b"b--")
    ),
    "a boundary in the form of RFC 2231": mixed(PROGRAM_PART, field=b"Content-Type: multipart/mixed; boundary*0=b\r\n"),
    "an unquoted boundary with a comment": mixed(
        PROGRAM_PART, field=b"Content-Type: multipart/mixed; boundary=b(c)\r\n"
    )
    + multipart(TEXT_PART, boundary=b"b(c)"),
    "a boundary within a comment": mixed(
        PROGRAM_PART, field=b"Content-Type: multipart/mixed (boundary=c); boundary=b\r\n"
    )
    + multipart(TEXT_PART, boundary=b"c"),
    "a multipart without a boundary that has parts": TOP
    + b"Content-Type: multipart/mixed\r\n\r\n"
    + multipart(PROGRAM_PART),
    "parts before the first boundary": TOP
    + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--c\r\n"
    + PROGRAM_PART
    + b"\r\n--c--\r\n"
    + multipart(TEXT_PART),
    "parts before the first boundary, with other fields": TOP
    + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--c\r\nX: y\r\n z\r\nSubject: x\r\n"
    + PROGRAM_PART
    + b"\r\n--c--\r\n"
    + multipart(TEXT_PART),
    "a boundary of nothing": TOP
    + b'Content-Type: multipart/mixed; boundary=""\r\n\r\n'
    + multipart(PROGRAM_PART, boundary=b""),
    "a boundary that is too long": TOP
    + b"Content-Type: multipart/mixed; boundary="
    + b"b" * 2000
    + b"\r\n\r\n"
    + multipart(PROGRAM_PART, boundary=b"b" * 2000),
    "an encoded word in a type": mixed(PROGRAM_PART, field=b"Content-Type: =?us-ascii?Q?multipart/mixed?=; boundary=b\r\n"),
    "parts after the last boundary, by another one": mixed(TEXT_PART) + multipart(PROGRAM_PART, boundary=b"c"),
    "no type, yet a boundary": mixed(PROGRAM_PART, field=b"Content-Type: boundary=b; boundary=b\r\n"),
    "a type hidden in a comment": mixed(PROGRAM_PART, field=b"Content-Type: text(x)/plain (multipart/mixed); boundary=b\r\n"),
    "a field that looks like a boundary": TOP.replace(b"From", b"--b: x\r\nFrom")
    + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + multipart(TEXT_PART),
    "a boundary in the header": TOP
    + b"Content-Type: multipart/mixed; boundary=b\r\n--b\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\n"
    + multipart(TEXT_PART),
    "a boundary in a part's header": mixed(
        b"Content-Type: multipart/mixed; boundary=c\r\n--c\r\nX: y\r\n\r\n" + multipart(TEXT_PART, boundary=b"c")
    ),
    "a fragment": TOP + b'Content-Type: message/partial; id="x"; number=1; total=2\r\n\r\nFrom: a@a.test\r\n\r\nhi',
    "zero octets": TOP + b"\r\nhello\0world\r\n",
    "lone line feeds": TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\nx\n--b\n" + PROGRAM_PART,
    "a name of many": mixed(
        b"Content-Type: a/b; " + b"; ".join(b"name=a%d.txt" % number for number in range(60)) + b"\r\n\r\nx"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_what_clients_read_differently_is_ambiguous(what: str) -> None:
    assert FaultKind.AMBIGUOUS in kinds(seen(AMBIGUOUS[what]))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (mixed(b"Content-Transfer-Encoding: x-foo\r\n\r\nhello"), FaultKind.MALFORMED),
        (TOP + b"Content-Type: multipart/mixed\r\n\r\nhello\r\n", FaultKind.MALFORMED),
        (mixed(TEXT_PART) + multipart(TEXT_PART), FaultKind.MALFORMED),
        (mixed(*[TEXT_PART] * 1001), FaultKind.EXCEEDED),
        (mixed(b"X: " + b"y" * 70_000 + b"\r\n\r\nhello"), FaultKind.EXCEEDED),
        (mixed(b"Content-Type: a/b" + b"; x=y" * 200 + b"\r\n\r\nhello"), FaultKind.EXCEEDED),
        (TOP + b"\r\n" + b"begin 644 a\r\n#86)C\r\n`\r\nend\r\n" * 101, FaultKind.EXCEEDED),
    ],
)
def test_faults_are_named_by_their_kind(data: bytes, kind: FaultKind) -> None:
    assert kinds(seen(data)) == {kind}


def test_boundaries_of_which_one_divides_are_not_ambiguous() -> None:
    field = b'Content-Type: multipart/mixed; boundary=b\r\nContent-Type: multipart/mixed; boundary="b"; charset=x\r\n'
    assert seen(mixed(TEXT_PART, field=field)).faults == ()


def test_parts_that_were_decoded_have_the_number_of_what_they_were_decoded_from() -> None:
    inspection = seen(HIDING_PLACES["an encoded attached message"])
    assert {one.part for one in inspection.attachments} == {"1"}
    assert {one.part for one in programs(seen(HIDING_PLACES["a message in a file"]))} == {"1"}


@pytest.mark.parametrize(
    "where", ["a uuencoded file in the text", "base64 before the first part", "an encoded multipart"]
)
def test_what_is_in_no_part_of_its_own_has_no_number(where: str) -> None:
    assert {one.part for one in programs(seen(HIDING_PLACES[where]))} == {""}


@pytest.mark.parametrize("content", [b"-----BEGIN PGP MESSAGE-----\r\n\r\nabc"])
def test_what_is_encrypted_says_so(content: bytes) -> None:
    [pgp] = seen(mixed(b"Content-Type: application/octet-stream; name=encrypted.asc\r\n\r\n" + content)).attachments
    [smime] = seen(TOP + b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nabc").attachments
    assert (pgp.encrypted, smime.encrypted) == (True, True)


# What is packed

ZIP = b"PK\x03\x04 outer"
INNER_ZIP = b"PK\x03\x04 inner"
ZIP_PART = b"Content-Type: application/zip; name=outer.zip\r\n\r\n" + ZIP


def packed(*entries: Entry, **more: bool) -> Opened:
    return Opened(entries, encrypted=more.get("encrypted", False))


def test_containers_stay_closed_without_an_opener_and_it_is_known() -> None:
    assert needs_opener(seen(mixed(TEXT_PART, ZIP_PART)))
    assert not needs_opener(seen(mixed(TEXT_PART, PROGRAM_PART)))


def test_files_in_containers_are_attachments_with_the_path_to_them() -> None:
    opener = FakeOpener({
        ZIP: packed(Entry(("docs/inner.zip",), INNER_ZIP, 9), Entry(("a.txt",), b"hello", 5)),
        INNER_ZIP: packed(Entry(("b\\c.exe",), PROGRAM, len(PROGRAM)), Entry(("secret.doc",), None, 7, encrypted=True)),
    })  # fmt: skip
    inspection = inspect(split_message(mixed(TEXT_PART, ZIP_PART)), opener)
    assert [(one.part, one.path, one.names, one.kind, one.encrypted) for one in inspection.attachments] == [
        ("2", (), ("outer.zip",), FileKind.ARCHIVE, False),
        ("2", ("outer.zip", "inner.zip"), ("secret.doc",), FileKind.UNKNOWN, True),
        ("2", ("outer.zip",), ("inner.zip",), FileKind.ARCHIVE, False),
        ("2", ("outer.zip", "inner.zip"), ("c.exe",), FileKind.EXECUTABLE, False),
        ("2", ("outer.zip",), ("a.txt",), FileKind.TEXT, False),
    ]
    assert opener.opened == [(("outer.zip",), FileKind.ARCHIVE), (("inner.zip",), FileKind.ARCHIVE)]


def test_a_message_in_a_container_is_walked() -> None:
    letter = b"From: a@a.test\r\nSubject: x\r\n" + PROGRAM_PART
    inspection = inspect(split_message(mixed(ZIP_PART)), FakeOpener({ZIP: packed(Entry(("x.eml",), letter, 9))}))
    [program] = programs(inspection)
    assert (program.part, program.path, program.names) == ("1", ("outer.zip",), ("a.exe",))


def test_containers_are_opened_no_deeper_than_the_budget_says() -> None:
    opener = FakeOpener({ZIP: packed(Entry(("same.zip",), ZIP, 9))}, depth=3)
    inspection = inspect(split_message(mixed(ZIP_PART)), opener)
    assert kinds(inspection) == {FaultKind.ARCHIVE_EXCEEDED}
    assert len(opener.opened) == 3


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                b"--b\r\n",
                b"--b--\r\n",
                b"--bb\r\n",
                b"\r\n",
                b"Content-Type: multipart/mixed; boundary=b\r\n",
                b'Content-Type: multipart/digest; boundary="bb"\r\n',
                b"Content-Type: message/rfc822\r\n",
                b"From: x\r\n",
                b"Content-Transfer-Encoding: base64\r\n",
                b"Content-Transfer-Encoding: quoted-printable\r\n",
                b"\x00",
                b"\n",
                b"Content-Type: text/plain; name*0*=utf-7''a; name*1=\"b\r\n",
                b"begin 644 x\r\n",
                b"#86)C\r\n",
                b"end\r\n",
                b"TVqQAAMAAAAEAAAA//8AALgAAAA=\r\n",
                b"=",
                b"=\r\n",
                b" \r\n",
                b";",
                b"(",
                b'"',
                b"\xff",
                BASE64_PROGRAM,
            ]
        ),
        max_size=60,
    ).map(b"".join)
    | st.binary(max_size=300)
)
def test_no_message_makes_the_walk_fail(data: bytes) -> None:
    inspection = inspect(split_message(data), FakeOpener({}))
    assert inspection.parts >= 1
    for one in inspection.attachments:
        assert all(len(name) <= 255 for name in one.names)
        "".join(one.names).encode("utf-8")
