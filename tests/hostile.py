"""Messages that are made to hurt: each is legal enough for SMTP to take, and costs whoever reads it carelessly.

Output: `hostile_messages`, by name; `mutations`, real messages with bytes changed at random, the same for one seed.
"""

import base64
import gzip
import io
import random
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

CRLF = b"\r\n"
HEAD = b"From: joe@sender.test\r\nTo: demo@gatepost.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
# Two that were really sent, a list's letter and an advertisement, which come with SpamAssassin.
_SAMPLES = Path("/usr/share/doc/spamassassin/examples")
TEXT = b"Content-Type: text/plain\r\n\r\nhello\r\n"


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    """Return a multipart body with its Content-Type field."""
    body = b"".join(b"--" + boundary + CRLF + part + CRLF for part in parts)
    return b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n' + body + b"--" + boundary + b"--\r\n"


def attachment(content: bytes, name: str = "a.zip") -> bytes:
    """Return a part that holds a file."""
    head = f'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="{name}"\r\n'
    return (
        head.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content).replace(b"\n", CRLF)
    )


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip archive of files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def nested_zip(depth: int) -> bytes:
    """Return a zip within a zip, so many times."""
    content = zipped({"a.txt": b"hello"})
    for _ in range(depth):
        content = zipped({"a.zip": content})
    return content


def _nested(depth: int, kind: bytes) -> bytes:
    if kind == b"message":
        return b"Content-Type: message/rfc822\r\n\r\n" * depth + TEXT
    opening = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (number, number) for number in range(depth)
    )
    closing = b"".join(b"\r\n--b%d--" % number for number in reversed(range(depth)))
    return opening + TEXT + closing + CRLF


def hostile_messages() -> dict[str, bytes]:
    """Return the messages by name."""
    bomb = zipped({f"{number}.txt": bytes(20_000_000) for number in range(5)})
    signature = (
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sender%d.test; s=s; h=from;\r\n"
        b" bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
    )
    one_line_of_spaces = b"x" + b" " * 100_000 + b"y\r\n"
    return {
        "1,000 nested parts": HEAD + _nested(1000, b"multipart"),
        "1,000 nested messages": HEAD + _nested(1000, b"message"),
        "200,000 parts": HEAD + multipart(*[b""] * 200_000),
        "200,000 boundaries without an end": HEAD + multipart(b"x").replace(b"--b--\r\n", b"--b\r\n" * 200_000),
        "an unclosed quote of 160 kB in To": b'To: "' + b"a" * 160_000 + b"\r\n" + HEAD + CRLF,
        "unclosed quotes in 2,000 fields": b'To: "a <b@c.test>, \r\n' * 1990 + HEAD + CRLF,
        "unclosed comments": HEAD + b"X-A: " + b"(" * 100_000 + CRLF + CRLF,
        "an RFC 2231 flood": HEAD
        + b"Content-Disposition: attachment;"
        + b"".join(b"\r\n filename*%d*=%%41%%42" % number for number in range(5000))
        + CRLF
        + CRLF,
        "an RFC 2231 flood of one number": HEAD + b"Content-Type: a/b;" + b"\r\n name*0*=''a;" * 5000 + CRLF + CRLF,
        "an RFC 2231 number of 10,000 digits": HEAD + b"Content-Type: a/b; name*" + b"9" * 10_000 + b"=a\r\n\r\n",
        "an RFC 2047 flood": HEAD + b"Subject: " + b"=?utf-8?q?=41?= " * 10_000 + CRLF + CRLF,
        "half an encoded word, 10,000 times": HEAD + b"Subject: " + b"=?utf-8?q?" * 10_000 + CRLF + CRLF,
        "a zip bomb": HEAD + multipart(attachment(bomb)),
        "a zip in a zip, 40 times": HEAD + multipart(attachment(nested_zip(40))),
        "a zip of 50,000 files": HEAD + multipart(attachment(zipped({f"{n}": b"" for n in range(50_000)}))),
        "a gzip bomb": HEAD + multipart(attachment(gzip.compress(bytes(200_000_000)), "a.gz")),
        "a gzip in a gzip, 20 times": HEAD + multipart(attachment(_gzips(20), "a.gz")),
        "a zip that is cut off": HEAD + multipart(attachment(bomb[: len(bomb) // 2])),
        "a zip of noise": HEAD + multipart(attachment(b"PK\x03\x04" + random.Random(1).randbytes(100_000))),
        "a 7z of noise": HEAD
        + multipart(attachment(b"7z\xbc\xaf\x27\x1c" + random.Random(2).randbytes(100_000), "a.7z")),
        "a rar of noise": HEAD
        + multipart(attachment(b"Rar!\x1a\x07\x01\x00" + random.Random(3).randbytes(99_999), "a.rar")),
        "an OLE of noise": HEAD
        + multipart(attachment(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + random.Random(4).randbytes(200_000), "a.doc")),
        "a PDF of brackets": HEAD + multipart(attachment(b"%PDF-1.7\n" + b"<<" * 500_000, "a.pdf")),
        "an RTF of groups": HEAD + multipart(attachment(b"{\\rtf1" + b"{\\object" * 200_000, "a.rtf")),
        "lines of 100 kB of spaces under DKIM": signature % 1 + HEAD + CRLF + one_line_of_spaces * 20,
        "10 MB of spaces under DKIM": signature % 1 + HEAD + CRLF + b" " * 10_000_000 + CRLF,
        "10 MB of line ends under DKIM": signature % 1 + HEAD + CRLF + CRLF * 5_000_000,
        "10 MB of tabs under DKIM": signature % 1 + HEAD + CRLF + b"\t" * 10_000_000 + CRLF,
        "100 signatures": b"".join(signature % number for number in range(100)) + HEAD + CRLF + b"hello\r\n",
        "a signature of 100 kB": b"DKIM-Signature: v=1; " + b"x=1; " * 20_000 + CRLF + HEAD + CRLF,
        "100 ARC sets": b"".join(
            b"ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=s.test; s=s; b=AA\r\n"
            b"ARC-Message-Signature: i=%d; a=rsa-sha256; d=s.test; s=s; h=from; bh=AA; b=AA\r\n"
            b"ARC-Authentication-Results: i=%d; s.test; dmarc=pass\r\n" % (number, number, number)
            for number in range(100, 0, -1)
        )
        + HEAD
        + CRLF,
        "a header of 5 MB": b"X-A: " + b"a" * 5_000_000 + CRLF + HEAD + CRLF,
        "100,000 fields": b"X-A: a\r\n" * 100_000 + HEAD + CRLF,
        "a field folded 100,000 times": b"X-A: a\r\n" + b" a\r\n" * 100_000 + HEAD + CRLF,
        "1,000 From fields": b"From: a@b.test\r\n" * 1000 + HEAD + CRLF,
        "NUL everywhere": HEAD.replace(b"x", b"\0") + b"X: \0\0\r\n\r\n" + b"\0" * 100_000 + CRLF,
        "broken base64": HEAD + multipart(attachment(b"").replace(b"\r\n\r\n", b"\r\n\r\n" + b"A=B=C!=" * 50_000)),
        "base64 of one character a line": HEAD + multipart(attachment(b"") + b"QQ==\r\n" * 100_000),
        "broken quoted-printable": HEAD
        + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        + b"=" * 200_000
        + CRLF
        + b"=ZZ=\r\n" * 50_000,
        "50,000 uuencode blocks": HEAD + CRLF + b"begin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n" * 50_000,
        "an encoding that nobody knows": HEAD
        + b"Content-Transfer-Encoding: x-nothing\r\nContent-Type: a/b\r\n\r\nx\r\n",
        "a charset that nobody knows": HEAD.replace(b"Subject: x", b"Subject: =?x-nothing?q?=41?=") + CRLF,
        "8-bit bytes in every field": bytes(range(128, 256))
        + b": x\r\n"
        + HEAD.replace(b"x", bytes(range(128, 256)))
        + CRLF,
        "a boundary of 100 kB": HEAD + multipart(TEXT, boundary=b"b" * 100_000),
        "an empty boundary": HEAD + multipart(TEXT, boundary=b""),
        "boundaries that are each other's beginnings": HEAD
        + multipart(*[multipart(TEXT, boundary=b"b" * length) for length in range(1, 60)]),
        "two Content-Types": HEAD
        + b"Content-Type: text/plain\r\n"
        + multipart(attachment(b"MZ" + bytes(100), "a.exe")),
        "nothing": b"",
        "only line ends": CRLF * 1000,
        "no header": b"hello\r\n" * 1000,
    }


def _gzips(depth: int) -> bytes:
    content = bytes(1000)
    for _ in range(depth):
        content = gzip.compress(content)
    return content


def seeds() -> list[bytes]:
    """Return messages as people send them, from which mutations are made."""
    picture = b"\x89PNG\r\n\x1a\n" + zlib.compress(bytes(2000))
    document = zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w:document/>" * 50})
    html = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=A4</p>\r\n"
    alternative = multipart(TEXT, html, boundary=b"----=_Part_1.2")
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + HEAD + alternative
    named = (
        b"Content-Type: image/png;\r\n name*0*=utf-8''%E2%82%AC%20bi;\r\n name*1=ld.png\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(picture).replace(b"\n", CRLF)
    )
    return [
        HEAD + TEXT,
        HEAD + alternative,
        HEAD + multipart(alternative, named, boundary=b"=_outer"),
        HEAD + multipart(TEXT, attachment(document, "letter.docx")),
        HEAD + multipart(TEXT, attachment(zipped({"a.txt": b"hello", "b.exe": b"MZ" + bytes(50)}))),
        HEAD + multipart(forwarded, attachment(b"%PDF-1.4\n%%EOF\n", "=?utf-8?q?r=C3=A9sum=C3=A9.pdf?=")),
        HEAD + CRLF + b"begin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=sender.test; s=s; h=from:to; bh=AA==; b=AA==\r\n" + HEAD + TEXT,
        *(path.read_bytes().replace(b"\n", CRLF) for path in sorted(_SAMPLES.glob("sample-*spam.txt"))),
    ]


_SNIPPETS = (
    *(b"--b", b"--b--", b"\r\n", b"\r\n\r\n", b'"', b"(", b")", b"\\", b"=?utf-8?b?", b"?=", b"\0", b"\t", b";", b"="),
    *(b"boundary=", b"filename=", b"filename*0*=", b"name=", b"Content-Type: multipart/mixed; boundary=b\r\n"),
    *(
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"PK\x03\x04",
        b"MZ",
        b"begin 644 ",
    ),
    *(b"\xff\xfe", b"From: ", b"ARC-Seal: i=1; ", b"DKIM-Signature: ", b"%", b"a" * 200),
)


def mutations(count: int, seed: int, more: Sequence[bytes] = ()) -> Iterator[bytes]:
    """Yield real messages with a few bytes changed, cut, doubled, swapped or put in. more: further ones to begin with."""
    chance = random.Random(seed)
    originals = [*seeds(), *more]
    for _ in range(count):
        data = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, 6)):
            start = chance.randrange(len(data) + 1)
            end = min(len(data), start + chance.choice((1, 2, 8, 64, 512)))
            match chance.randrange(5):
                case 0:
                    data[start:end] = chance.randbytes(end - start)
                case 1:
                    del data[start:end]
                case 2:
                    data[start:start] = data[start:end] * chance.randint(1, 5)
                case 3:
                    data[start:start] = chance.choice(_SNIPPETS)
                case _:
                    other = chance.choice(originals)
                    place = chance.randrange(len(other))
                    data[start:end] = other[place : place + 200]
        yield bytes(data)
