"""A hostile message comes out as text, within bounds."""

import base64
import hashlib
import time

import pytest

from services.console.mail_view.html_text import text_of_html
from services.console.mail_view.view import MailView, view_of


def mail(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


MIXED = mail(
    "From: a@example.org",
    "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
    'Content-Type: multipart/mixed; boundary="out"',
    "",
    "preamble",
    "--out",
    'Content-Type: multipart/alternative; boundary="in"',
    "",
    "--in",
    "Content-Type: text/plain; charset=iso-8859-1",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "Gr=FC=DFe",
    "--in",
    "Content-Type: text/html",
    "",
    "<p>Hi <a href='https://evil.example/x?a=1&amp;b=2'>your bank</a><script>alert(1)</script></p>",
    "--in--",
    "--out",
    "Content-Type: application/zip",
    "Content-Disposition: attachment; filename*0*=utf-8''r%C3%A9; filename*1=sum.zip",
    "Content-Transfer-Encoding: base64",
    "",
    base64.b64encode(b"PK bytes").decode(),
    "--out--",
    "epilogue",
)


def test_the_tree_has_types_sizes_and_names() -> None:
    view = view_of(MIXED)
    assert [(one.number, one.depth, one.type) for one in view.tree] == [
        ("", 0, "multipart/mixed"),
        ("1", 1, "multipart/alternative"),
        ("1.1", 2, "text/plain"),
        ("1.2", 2, "text/html"),
        ("2", 1, "application/zip"),
    ]
    [attached] = view.attachments
    assert (attached.name, attached.size_bytes) == ("résum.zip", 8)
    assert attached.sha256 == hashlib.sha256(b"PK bytes").hexdigest()


def test_texts_are_decoded_and_links_of_html_stand_in_brackets() -> None:
    plain, html = view_of(MIXED).texts
    assert (plain.text, plain.is_html) == ("Grüße", False)
    assert html.text == "Hi [link: https://evil.example/x?a=1&b=2] your bank"
    assert view_of(MIXED).fields[1].value == "Grüße"
    assert view_of(MIXED).fields[1].raw == "=?utf-8?b?R3LDvMOfZQ==?="


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<a href=javascript:alert(1)>x", "[link: javascript:alert(1)] x"),
        ("a<!-- <b> -->b", "ab"),
        ("a<!-- never closed <b>", "a"),
        ("<style>p{}</style>x<script>y", "x"),
        ("1 < 2 &lt;b&gt;", "1 < 2 <b>"),
        ('<img src="http://t.example/pixel" alt="logo">', "[img: logo] [img: http://t.example/pixel]"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<form action=//evil.example>", "[form: //evil.example]"),
        ("x<", "x<"),
    ],
)
def test_html_becomes_text(source: str, expected: str) -> None:
    assert text_of_html(source) == expected


BOMBS = {
    "many parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 100_000,
    "deep parts": b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(2000)
    ),
    "one boundary at all depths": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n' * 5000,
    "unclosed quote": b"Content-Type: text/plain" + b';x="' * 50_000 + b"\r\n\r\nx",
    "many parameters": b"Content-Type: text/plain" + b";a*0*=x''%41" * 10_000 + b"\r\n\r\nx",
    "encoded words": b"Subject: " + b"=?q?q?" * 20_000 + b"\r\n\r\nx",
    "unclosed marks": b"Content-Type: text/html\r\n\r\n" + b"<a href='" * 50_000,
    "scripts": b"Content-Type: text/html\r\n\r\n" + b"<script>" * 50_000,
    "comments": b"Content-Type: text/html\r\n\r\n" + b"<!--" * 50_000,
    "nested marks": b"Content-Type: text/html\r\n\r\n" + b"<b a=1>" * 50_000 + b"<p>" * 50_000,
    "spaces": b"Content-Type: text/html; charset=utf-8\r\n\r\n" + "\u2003".encode() * 100_000 + b"\n" * 100_000,
    "punycode": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 500_000,
    "zlib": b"Content-Type: text/plain; charset=zlib\r\n\r\n" + b"x" * 100,
    "no header end": b"A: b\r\n" * 200_000,
    "one line": b"x" * 5_000_000,
    "nothing": b"",
    "empty header": b"\r\nbody",
    "letters in letters": b"Content-Type: message/rfc822\r\n\r\n" * 5000,
    "broken base64": b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n=====A",
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_message_costs_much_or_fails(name: str) -> None:
    begun = time.process_time()
    view = view_of(BOMBS[name])
    assert time.process_time() - begun < 3
    assert isinstance(view, MailView)
    assert len(view.tree) <= 200
    assert sum(len(text.text) for text in view.texts) <= 20 * 70_000


def test_what_is_left_out_is_said() -> None:
    assert view_of(BOMBS["many parts"]).left_out
    assert view_of(BOMBS["deep parts"]).left_out
    [text] = view_of(b"\r\n" + b"long line\r\n" * 30_000).texts
    assert text.is_cut
