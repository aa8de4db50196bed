"""The SASL mechanisms PLAIN and LOGIN (PURE).

Owns: each mechanism as a generator that yields challenges, is sent the client's responses, and returns `Credentials`.
Standards: RFC 4616 (PLAIN), RFC 4954 (AUTH); LOGIN has no standard and is as draft-murchison-sasl-login-00 says.
On failure: MechanismError with the reply to give.
"""

import base64
import binascii
from collections.abc import Callable, Generator
from dataclasses import dataclass

from shared.reply import Reply

_LOGIN_LIMIT = 320
_PASSWORD_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client claims."""

    login: str
    password: bytes


class MechanismError(ValueError):
    """An exchange that cannot go on. reply: what the client is told."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)


Exchange = Generator[bytes, bytes, Credentials]


def plain(initial: bytes | None) -> Exchange:
    """PLAIN: `authzid NUL authcid NUL password` in one response."""
    response = initial if initial is not None else (yield b"")
    parts = response.split(b"\0")
    if len(parts) != 3:
        raise MechanismError(501, "5.5.2", "PLAIN needs two NUL octets")
    authorization, login, password = parts
    # RFC 4616 §2: acting for somebody else is not offered here.
    if authorization not in (b"", login):
        raise MechanismError(535, "5.7.8", "Authentication credentials invalid")
    return _credentials(login, password)


def login(initial: bytes | None) -> Exchange:
    """LOGIN: name, then password."""
    name = initial if initial is not None else (yield b"Username:")
    password = yield b"Password:"
    return _credentials(name, password)


MECHANISMS: dict[str, Callable[[bytes | None], Exchange]] = {"PLAIN": plain, "LOGIN": login}


def decode_response(text: bytes) -> bytes:
    """Return the octets of a base64 response. Raises MechanismError, also for the `*` that cancels (RFC 4954 §4)."""
    if text == b"*":
        raise MechanismError(501, "5.7.0", "Authentication cancelled")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise MechanismError(501, "5.5.2", "Not base64") from None


def _credentials(name: bytes, password: bytes) -> Credentials:
    if not name or not password or len(name) > _LOGIN_LIMIT or len(password) > _PASSWORD_LIMIT:
        raise MechanismError(535, "5.7.8", "Authentication credentials invalid")
    try:
        return Credentials(name.decode("utf-8"), password)
    except UnicodeDecodeError:
        raise MechanismError(535, "5.7.8", "Authentication credentials invalid") from None
