"""The messages of the load, each with a Message-ID of its own (PURE).

Owns: `Kind` and `Mailbag`, which writes messages of about a size with CRLF line ends, dots stuffed.
A signature covers From, To, Subject, Date and the body, but not the Message-ID: one signature holds for all of them, so
that the client costs little beside what it loads.
Standards: RFC 5322, RFC 6376 (DKIM), RFC 5321 §4.5.2 (dots).
"""

import base64
import itertools
import secrets
from dataclasses import dataclass
from enum import StrEnum

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from infra.local.clamd import EICAR

SENDER_DOMAIN = "sender.test"
SENDER = f"load@{SENDER_DOMAIN}"
SELECTOR = b"load"
_SIGNED_FIELDS = [b"from", b"to", b"subject", b"date"]
PROSE = b"Seventy characters and a little more of a message that says nothing new.\r\n"
ATTACHMENT = b"QmFzZTY0IGxvb2tzIGxpa2UgdGhpcywgbGluZSBieSBsaW5lLCBmb3IgbWVnYWJ5dGVzIG9uIGVu\r\n"


class Kind(StrEnum):
    """What a message is. Malware must be refused, all else must arrive."""

    PLAIN = "plain"
    SIGNED = "signed"
    MALWARE = "malware"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A DKIM key: PEM for the signer, base64 of the public half for DNS."""

    private_pem: bytes
    public_base64: str

    @classmethod
    def new(cls) -> "SigningKey":
        """Make one of 2048 bits."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return cls(pem, base64.b64encode(public).decode())


def zone_of(key: SigningKey | None = None) -> str:
    """Return the master file of the sender's domain: SPF for loopback, the key, and DMARC that wants refusals."""
    lines = [
        f"$ORIGIN {SENDER_DOMAIN}.",
        "@ 300 IN SOA ns hostmaster 1 3600 600 86400 60",
        '@ 300 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"',
        '_dmarc 300 IN TXT "v=DMARC1; p=reject"',
    ]
    if key is not None:
        record = f"v=DKIM1; k=rsa; p={key.public_base64}"
        # RFC 1035 §3.3: a character-string has 255 octets at most.
        pieces = " ".join(f'"{record[at : at + 200]}"' for at in range(0, len(record), 200))
        lines.append(f"{SELECTOR.decode()}._domainkey 300 IN TXT {pieces}")
    return "\n".join(lines) + "\n"


class Mailbag:
    """Writes messages to one recipient. size_bytes: of the body, about. line: what it repeats.

    key: without one there are no signed messages. attached: whether the body is a file of that size, in base64.
    """

    def __init__(
        self,
        recipient: str,
        size_bytes: int = 4000,
        key: SigningKey | None = None,
        line: bytes = PROSE,
        *,
        attached: bool = False,
    ) -> None:
        self.recipient = recipient
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._texts = {
            Kind.PLAIN: _text(recipient, "A plain message", line * max(1, size_bytes // len(line)), attached=attached),
            Kind.MALWARE: _text(recipient, "A message with a test virus", EICAR + b"\r\n"),
        }
        if key is not None:
            self._texts[Kind.SIGNED] = _signed(self._texts[Kind.PLAIN], key)

    def write(self, kind: Kind) -> tuple[str, bytes]:
        """Return a new Message-ID and the message that bears it, without the final dot."""
        message_id = f"<{kind}.{next(self._numbers)}.{self._run}@{SENDER_DOMAIN}>"
        return message_id, b"Message-ID: " + message_id.encode() + b"\r\n" + self._texts[kind]


def _text(recipient: str, subject: str, body: bytes, *, attached: bool = False) -> bytes:
    fields = (
        f"From: Load <{SENDER}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
        "Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
    )
    if not attached:
        return f"{fields}Content-Type: text/plain\r\n\r\n".encode() + body
    parts = (
        'Content-Type: multipart/mixed; boundary="part"\r\n\r\n'
        "--part\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n"
        "--part\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="data.bin"\r\n\r\n'
    )
    return (fields + parts).encode() + body + b"--part--\r\n"


def _signed(text: bytes, key: SigningKey) -> bytes:
    field = dkim.sign(
        text,
        SELECTOR,
        SENDER_DOMAIN.encode(),
        key.private_pem,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=_SIGNED_FIELDS,
    )
    return bytes(field) + text
