"""Owns the messages of the bench: DKIM-signed ones of a given size, and the one that must be refused.

Output: message bytes with LF line ends, as smtp-source wants them (it makes them CRLF), signed over the CRLF form.
Standards: RFC 6376, RFC 5322.
"""

import base64
import random
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.bench.lab.clamav import EICAR
from tests.bench.peer import RECIPIENT, SENDER

SELECTOR = "bench"
_DOMAIN = SENDER.partition("@")[2]
_SIGNED = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"]
_TEXT_BYTES = 3000
_VOCABULARY = (
    "account answer because between board budget change coming course delivery during effort engine evening "
    "figure follow general harbour history interest journey kitchen language letter machine meeting minute "
    "morning nothing office offer order paper people place project question reason record report season second "
    "service several simple special station status street summer system table together travel under village "
    "visit water weather window winter without worker yesterday"
)
_WORDS = _VOCABULARY.split()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A DKIM key: PEM for the signer, base64 DER for the DNS."""

    private_pem: bytes
    public_base64: str


def new_key() -> SigningKey:
    """Make an RSA key of 2048 bits, the size that most senders use."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public_der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SigningKey(private_pem, base64.b64encode(public_der).decode())


def signed_message(size_bytes: int, key: SigningKey) -> bytes:
    """Return a signed message of about the size: text alone when small, text and an attachment when large."""
    # What the header fields, the signature and the MIME frame add; base64 costs 78 characters for 57 bytes.
    fill_bytes = size_bytes - 950
    text_bytes = fill_bytes if fill_bytes < 2 * _TEXT_BYTES else _TEXT_BYTES
    message = _frame(f"A message of {size_bytes} bytes", prose(text_bytes))
    if text_bytes < fill_bytes:
        attached = random.Random(1).randbytes((fill_bytes - text_bytes) * 57 // 78)
        message.add_attachment(attached, maintype="application", subtype="octet-stream", filename="report.dat")
    return _signed(message, key)


def malware_message(key: SigningKey) -> bytes:
    """Return a signed message that any scanner must find."""
    return _signed(_frame("A test of the scanner", EICAR + "\n"), key)


def prose(size_bytes: int) -> str:
    """Return lines of plain words, the same for the same size."""
    chosen = random.Random(size_bytes)
    lines: list[str] = []
    length = 0
    while length < size_bytes:
        line = " ".join(chosen.choice(_WORDS) for _ in range(9))
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines) + "\n"


def _frame(subject: str, text: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Bench <{SENDER}>"
    message["To"] = f"User <{RECIPIENT}>"
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{random.Random(subject).getrandbits(64):x}@{_DOMAIN}>"
    message.set_content(text)
    return message


def _signed(message: EmailMessage, key: SigningKey) -> bytes:
    plain = message.as_bytes()
    field = dkim.sign(
        plain,
        SELECTOR.encode(),
        _DOMAIN.encode(),
        key.private_pem,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=_SIGNED,
    )
    return (bytes(field) + plain).replace(b"\r\n", b"\n")
