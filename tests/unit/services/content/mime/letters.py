"""Ordinary mail as programs of the world write it, sloppy ones too: none of it may be called ambiguous."""

import base64


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def encoded(content: bytes) -> str:
    return base64.encodebytes(content).decode()


PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"1 0 obj <<>> endobj\n" * 40 + b"%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
PROGRAM = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0" + b"\0" * 200 + b"This program cannot be run in DOS mode.\r\n"
TNEF = b"\x78\x9f\x3e\x22\x01\x00" + b"\x01\x06\x90\x08\0" * 20

HEAD = """\
Received: from mail.a.test (mail.a.test [192.0.2.1]) by mx.b.test with ESMTPS id abc
\tfor <b@b.test>; Tue, 24 Nov 2026 10:00:00 +0000
From: "A. Sender" <a@a.test>
To: b@b.test
Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=
Date: Tue, 24 Nov 2026 10:00:00 +0000
Message-ID: <1@a.test>
MIME-Version: 1.0
"""

# Each: what it is, the message, names of its attachments.
ORDINARY: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "no MIME at all": (crlf("From: a@a.test\nTo: b@b.test\nSubject: hi\n\nHello\n-- \nA\n--\nline\n"), ()),
    "plain text with a signature and rulers": (
        crlf(HEAD + "Content-Type: text/plain; charset=utf-8\n\nHello\n-----\n----- Original -----\n--\n--b\n"),
        (),
    ),
    "begin in prose": (
        crlf(HEAD + "Content-Type: text/plain\n\nWe begin 644 steps later.\nbegin 644 of the words\nin prose, end\n"),
        (),
    ),
    "an empty body": (crlf(HEAD + "Content-Type: text/plain\n\n"), ()),
    "a header alone": (crlf(HEAD), ()),
    "Outlook": (
        crlf(
            HEAD
            + f"""\
Content-Type: multipart/mixed;
\tboundary="----=_NextPart_000_0012_01DB3E5C.6E2A0D30"
X-Mailer: Microsoft Outlook 16.0
Content-Language: de

This is a multipart message in MIME format.

------=_NextPart_000_0012_01DB3E5C.6E2A0D30
Content-Type: multipart/related;
\tboundary="----=_NextPart_001_0013_01DB3E5C.6E2A0D30"

------=_NextPart_001_0013_01DB3E5C.6E2A0D30
Content-Type: multipart/alternative;
\tboundary="----=_NextPart_002_0014_01DB3E5C.6E2A0D30"

------=_NextPart_002_0014_01DB3E5C.6E2A0D30
Content-Type: text/plain;
\tcharset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe =

------=_NextPart_002_0014_01DB3E5C.6E2A0D30
Content-Type: text/html;
\tcharset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<html xmlns:v=3D"urn:schemas-microsoft-com:vml"><body>Gr=FC=DFe</body></html>
------=_NextPart_002_0014_01DB3E5C.6E2A0D30--

------=_NextPart_001_0013_01DB3E5C.6E2A0D30
Content-Type: image/png;
\tname="image001.png"
Content-Transfer-Encoding: base64
Content-ID: <image001.png@01DB3E5C.6E2A0D30>

{encoded(PNG)}
------=_NextPart_001_0013_01DB3E5C.6E2A0D30--

------=_NextPart_000_0012_01DB3E5C.6E2A0D30
Content-Type: application/pdf;
\tname="Rechnung 11.pdf"
Content-Transfer-Encoding: base64
Content-Disposition: attachment;
\tfilename="Rechnung 11.pdf"

{encoded(PDF)}
------=_NextPart_000_0012_01DB3E5C.6E2A0D30--

"""
        ),
        ("image001.png", "Rechnung 11.pdf"),
    ),
    "winmail.dat": (
        crlf(
            HEAD
            + f"""\
Content-Type: multipart/mixed; boundary="----_=_NextPart_001_01DB"

This is a multi-part message in MIME format.

------_=_NextPart_001_01DB
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: 7bit

Hello

------_=_NextPart_001_01DB
Content-Type: application/ms-tnef;
\tname="winmail.dat"
Content-Transfer-Encoding: base64

{encoded(TNEF)}
------_=_NextPart_001_01DB--
"""
        ),
        ("winmail.dat",),
    ),
    "Apple Mail": (
        crlf(
            HEAD
            + f"""\
Content-Type: multipart/alternative; boundary="Apple-Mail=_5A1B5D0C-94AE-4E0A-8C6C-6B1F3C1B7A11"
X-Mailer: Apple Mail (2.3826.200.121)


--Apple-Mail=_5A1B5D0C-94AE-4E0A-8C6C-6B1F3C1B7A11
Content-Transfer-Encoding: quoted-printable
Content-Type: text/plain;
\tcharset=utf-8

see below=20

--Apple-Mail=_5A1B5D0C-94AE-4E0A-8C6C-6B1F3C1B7A11
Content-Type: multipart/mixed;
\tboundary="Apple-Mail=_CA6B3B0B-40E5-4B63-8D5E-6B1F0D8B6D22"


--Apple-Mail=_CA6B3B0B-40E5-4B63-8D5E-6B1F0D8B6D22
Content-Transfer-Encoding: 7bit
Content-Type: text/html;
\tcharset=us-ascii

<html><head></head><body>see below</body></html>
--Apple-Mail=_CA6B3B0B-40E5-4B63-8D5E-6B1F0D8B6D22
Content-Disposition: inline;
\tfilename*=utf-8''Anh%C3%A4nge%20und%20mehr.pdf
Content-Type: application/pdf;
\tx-unix-mode=0644;
\tname="=?utf-8?Q?Anh=C3=A4nge_und_mehr=2Epdf?="
Content-Transfer-Encoding: base64

{encoded(PDF)}
--Apple-Mail=_CA6B3B0B-40E5-4B63-8D5E-6B1F0D8B6D22
Content-Transfer-Encoding: 7bit
Content-Type: text/html;
\tcharset=us-ascii

<html><head></head><body><br></body></html>
--Apple-Mail=_CA6B3B0B-40E5-4B63-8D5E-6B1F0D8B6D22--

--Apple-Mail=_5A1B5D0C-94AE-4E0A-8C6C-6B1F3C1B7A11--
"""
        ),
        ("Anhänge und mehr.pdf",),
    ),
    "Gmail with continued names": (
        crlf(
            HEAD
            + f"""\
Content-Type: multipart/mixed; boundary="0000000000001f3a2b0627a1b2c3"

--0000000000001f3a2b0627a1b2c3
Content-Type: text/plain; charset="UTF-8"

hi

--0000000000001f3a2b0627a1b2c3
Content-Type: application/pdf; name="long.pdf"
Content-Disposition: attachment;
\tfilename*0="a very long name that was cut in two pieces by its ";
\tfilename*1="sender.pdf"
Content-Transfer-Encoding: base64
Content-ID: <f_1>
X-Attachment-Id: f_1

{encoded(PDF)}
--0000000000001f3a2b0627a1b2c3--
"""
        ),
        ("a very long name that was cut in two pieces by its sender.pdf",),
    ),
    "a newsletter without its last boundary": (
        crlf(
            HEAD
            + """\
Content-Type: multipart/alternative; boundary=b1_5d41402abc4b2a76b9719d911017c592

This is a multi-part message in MIME format.

--b1_5d41402abc4b2a76b9719d911017c592
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße -- from us
--------------------
read more

--b1_5d41402abc4b2a76b9719d911017c592
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<!DOCTYPE html><html><script>track()</script></html>
"""
        ),
        (),
    ),
    "an unquoted boundary with an equals sign": (
        crlf(
            HEAD
            + """\
Content-Type: multipart/alternative; boundary=----=_Part_12_345.678

------=_Part_12_345.678
Content-Type: text/plain; charset=us-ascii

a
------=_Part_12_345.678
Content-Type: text/html

<p>a
------=_Part_12_345.678--
"""
        ),
        (),
    ),
    "an encoding given for the whole, and 8bits": (
        crlf(
            HEAD
            + """\
Content-Transfer-Encoding: quoted-printable
Content-type: MULTIPART/ALTERNATIVE ;
 boundary = "==alt=="

--==alt==
content-type: TEXT/PLAIN; charset = utf-8
content-transfer-encoding: 8bits

a
--==alt==
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: Quoted-Printable

<p>a=3D</p>
--==alt==--
"""
        ),
        (),
    ),
    "a list's footer after the last boundary": (
        crlf(
            HEAD
            + """\
Content-Type: multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature"; boundary="sgn"

--sgn
Content-Type: text/plain; charset=utf-8

hello
--sgn
Content-Type: application/pgp-signature; name="signature.asc"

-----BEGIN PGP SIGNATURE-----

iQIzBAEBCAAdFiEE
-----END PGP SIGNATURE-----
--sgn--
_______________________________________________
list mailing list
https://lists.a.test/list
"""
        ),
        ("signature.asc",),
    ),
    "a text of base64 with a list's footer": (
        crlf(
            HEAD
            + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
            + encoded("Grüße\n".encode() * 30)
            + "\n_______________________________________________\nlist mailing list\n"
        ),
        (),
    ),
    "two types that say the same": (
        crlf(HEAD + "Content-Type: text/html; charset=utf-8\nContent-type: text/html\n\n<html>hi</html>\n"),
        (),
    ),
    "two types of a file": (
        crlf(
            HEAD
            + "Content-Type: application/octet-stream; name=a.pdf\nContent-Type: application/pdf; name=a.pdf\n"
            + "Content-Transfer-Encoding: base64\n\n"
            + encoded(PDF)
        ),
        ("a.pdf",),
    ),
    "two types of text": (
        crlf(HEAD + "Content-Type: text/plain; charset=utf-8\nContent-type: text/html\n\n<html>hi</html>\n"),
        (),
    ),
    "a bounce": (
        crlf(
            HEAD
            + """\
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4XyZ.1732442400/mx.b.test"
Content-Transfer-Encoding: 8bit

This is a MIME-encapsulated message.

--4XyZ.1732442400/mx.b.test
Content-Description: Notification
Content-Type: text/plain; charset=utf-8

I'm sorry.

--4XyZ.1732442400/mx.b.test
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.b.test

Final-Recipient: rfc822; x@b.test
Action: failed

--4XyZ.1732442400/mx.b.test
Content-Description: Undelivered Message
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

From: x@x.test
Subject: y
Content-Type: multipart/mixed; boundary="inner"

--inner

text
--inner--

--4XyZ.1732442400/mx.b.test--
"""
        ),
        ("",),
    ),
    "a fax as the message itself": (
        crlf(
            HEAD
            + "Content-Type: application/pdf; name=fax.pdf\nContent-Transfer-Encoding: base64\n"
            + "Content-Disposition: attachment; filename=fax.pdf\n\n"
            + encoded(PDF)
        ),
        ("fax.pdf",),
    ),
    "a name in raw UTF-8, unquoted, with spaces": (
        crlf(
            HEAD
            + "Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n"
            + "Content-Disposition: attachment; filename=Übersicht Mai.pdf\n\n"
            + encoded(PDF)
        ),
        ("Übersicht Mai.pdf",),
    ),
    "an invitation": (
        crlf(
            HEAD
            + """\
Content-Type: multipart/alternative; boundary="cal"

--cal
Content-Type: text/plain

Meet
--cal
Content-Type: text/calendar; charset="utf-8"; method=REQUEST
Content-Transfer-Encoding: 7bit

BEGIN:VCALENDAR
END:VCALENDAR
--cal--
"""
        ),
        (),
    ),
    "a digest": (
        crlf(
            HEAD
            + """\
Content-Type: multipart/digest; boundary="dig"

--dig

From: a@a.test
Subject: one

first
--dig

From: b@b.test
Subject: two

second
--dig--
"""
        ),
        ("", ""),
    ),
    "an old part without lines between": (
        crlf(
            HEAD + 'Content-Type: multipart/mixed; boundary="x"\n\n--x\n\nbody\n--x\nContent-Type: text/plain\n--x--\n'
        ),
        (),
    ),
    "a subject folded onto a line of spaces": (
        crlf("From: a@a.test\nSubject: hi\n \nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n<p>hi\n"),
        (),
    ),
}
