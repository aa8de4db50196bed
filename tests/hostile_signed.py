"""Hostile messages whose signatures make their reader work: the keys are in DNS, and most of the signatures hold (PURE).

Owns: `SIGNED`, the messages by name, with the word that DKIM must come to, which tells that the work was really done;
and `key_lines`, the lines of a zone file with their keys. Standards: RFC 6376 §3.4, §3.5.
"""

import base64
import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.auth.canon import relaxed_body, relaxed_field, simple_body
from shared.auth.message import Field
from tests.hostile import CRLF, HEAD

DOMAIN = "sender.test"
OURS, LARGEST, TOO_LARGE = "s", "largest", "toolarge"
_BITS = {LARGEST: 8192, TOO_LARGE: 16_384}
_FROM = b"from:joe@sender.test\r\n"


@dataclass(frozen=True, slots=True)
class Signed:
    """One message. result: what DKIM says of it, by its best signature."""

    build: Callable[[], bytes]
    result: str


@cache
def _key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def _der(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x84)) + len(content).to_bytes(4, "big") + content


def _record_of(bits: int) -> bytes:
    """Return a key of any size that nobody has the private half of; to find it wrong costs as much as to find it right."""
    modulus = random.Random(bits).getrandbits(bits) | 1 << (bits - 1) | 1
    numbers = b"".join(_der(2, number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in (modulus, 65537))
    return _der(0x30, numbers)


def key_lines() -> Iterator[str]:
    """Yield the lines of the zone `test`."""
    public = _key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for selector, octets in {OURS: public, **{name: _record_of(bits) for name, bits in _BITS.items()}}.items():
        record = "v=DKIM1; p=" + base64.b64encode(octets).decode()
        pieces = " ".join(f'"{record[start : start + 250]}"' for start in range(0, len(record), 250))
        yield f"{selector}._domainkey.sender IN TXT {pieces}"


def sign(message: bytes, *, selector: str = OURS, relaxed: bool = True, length: int | None = None) -> bytes:
    """Return the message with a signature on top that covers From, and the body or its first bytes (l=)."""
    body = message.partition(CRLF + CRLF)[2]
    form = (relaxed_body(body) if relaxed else simple_body(body))[:length]
    digest = base64.b64encode(hashlib.sha256(form).digest()).decode()
    canon, part = "relaxed" if relaxed else "simple", "" if length is None else f" l={length};"
    tags = f" v=1; a=rsa-sha256; c=relaxed/{canon}; d={DOMAIN}; s={selector};{part} h=from;\r\n bh={digest}; b="
    own = relaxed_field(Field(b"dkim-signature", b"DKIM-Signature", tags.encode()))
    signature = base64.b64encode(_signature(selector, _FROM + own))
    return b"DKIM-Signature:" + tags.encode() + signature + CRLF + message


def _signature(selector: str, data: bytes) -> bytes:
    if selector == OURS:
        return _key().sign(data, PKCS1v15(), SHA256())
    # As long as the key, and less than it: only the whole calculation tells that it is wrong.
    return b"\0" + random.Random(data).randbytes(_BITS[selector] // 8 - 1)


def _many(message: bytes, count: int, selector: str = OURS) -> bytes:
    """Return it with so many signatures, each over another length of the body."""
    fields = (
        sign(message, selector=selector, relaxed=number % 2 == 0, length=number + 1).removesuffix(message)
        for number in range(count)
    )
    return b"".join(fields) + message


_SPACES = b"x" + b" " * 100_000 + b"y\r\n"

SIGNED: dict[str, Signed] = {
    "signed lines of 100 kB of spaces": Signed(lambda: sign(HEAD + CRLF + _SPACES * 20), "pass"),
    "signed 10 MB of spaces": Signed(lambda: sign(HEAD + CRLF + b" " * 10_000_000 + CRLF), "pass"),
    "signed 10 MB of tabs": Signed(lambda: sign(HEAD + CRLF + b"\t" * 10_000_000 + CRLF), "pass"),
    "signed 10 MB of line ends": Signed(lambda: sign(HEAD + CRLF + CRLF * 5_000_000), "pass"),
    "100 signatures that hold": Signed(lambda: _many(HEAD + CRLF + b"hello \t\r\n" * 50_000, 100), "pass"),
    "100 signatures by the largest key": Signed(lambda: _many(HEAD + CRLF + b"hello\r\n", 100, LARGEST), "fail"),
    "a key of 16384 bits": Signed(lambda: sign(HEAD + CRLF + b"hello\r\n", selector=TOO_LARGE), "policy"),
    "50 signatures by keys of 16384 bits": Signed(lambda: _many(HEAD + CRLF + b"hello\r\n", 50, TOO_LARGE), "policy"),
}
