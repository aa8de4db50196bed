"""Keys, and messages signed and sealed by dkimpy with them."""

import base64
from functools import cache

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

MESSAGE = (
    b"Received: from a.example\r\n\tby b.example; Mon, 24 Nov 2026 10:00:00 +0000\r\n"
    b"From: Joe  <joe@example.org>\r\nTo: amy@example.net\r\nSubject: a \t folded\r\n  subject\r\n"
    b"Date: Mon, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n"
    b"Hello  Amy, \r\n\r\n\tthis is it.\t \r\n\r\n\r\n"
)


@cache
def rsa_keys(bits: int = 2048) -> tuple[bytes, bytes]:
    """Return the private key in PEM and the TXT record of the public one."""
    key = generate_private_key(65537, bits)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return pem, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


@cache
def ed25519_keys() -> tuple[bytes, bytes]:
    """Return the private key in base64 and the TXT record of the public one."""
    key = Ed25519PrivateKey.generate()
    secret = base64.b64encode(key.private_bytes_raw())
    return secret, b"v=DKIM1; k=ed25519; p=" + base64.b64encode(key.public_key().public_bytes_raw())


def sign(
    message: bytes = MESSAGE,
    *,
    kind: str = "rsa",
    canonicalize: tuple[bytes, bytes] = (b"relaxed", b"relaxed"),
    domain: bytes = b"example.org",
    **options: object,
) -> bytes:
    """Return the message with dkimpy's signature on top, selector "s"."""
    private, _ = rsa_keys() if kind == "rsa" else ed25519_keys()
    options["signature_algorithm"] = b"rsa-sha256" if kind == "rsa" else b"ed25519-sha256"
    signature: bytes = dkim.DKIM(message).sign(b"s", domain, private, canonicalize=canonicalize, **options)
    return signature + message


def seal(message: bytes = MESSAGE, *, domain: str = "one.test", results: str = "spf=pass", **options: object) -> bytes:
    """Return the message with one more ARC set by dkimpy on top, selector "s". results: what the handler saw."""
    seen = f"Authentication-Results: {domain};\r\n {results}\r\n".encode() + message
    signer = dkim.ARC(seen)
    fields: list[bytes] = signer.sign(b"s", domain.encode(), rsa_keys()[0], domain.encode(), **options)
    assert fields, "dkimpy would not seal it"
    return b"".join(fields) + message


def sealed(*domains: str, message: bytes = MESSAGE, results: str = "dmarc=pass header.from=example.org") -> bytes:
    """Return the message sealed by these domains in turn, the first one with these results."""
    for number, domain in enumerate(domains):
        message = seal(message, domain=domain, results="arc=pass" if number else results)
    return message
