"""What all SASL mechanisms have in common (PURE).

Owns: the form of a mechanism, a generator that yields challenges, is sent the client's responses and returns a claim;
the claims; and base64. A mechanism neither looks anything up but in memory nor waits.
Standards: RFC 4422, RFC 4954.
On failure: MechanismError with the reply to give.
"""

import base64
import binascii
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import NoReturn

from shared.reply import Reply
from shared.saslprep import SaslprepError, saslprep

LOGIN_LIMIT = 320
PASSWORD_LIMIT = 1024


class MechanismError(ValueError):
    """An exchange that cannot go on. reply: what the client is told."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A password that is to be checked. Both have been through SASLprep."""

    login: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that was checked. holds: whether it is right. last: what the client is still to be told if so."""

    login: str
    holds: bool
    last: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A Kerberos ticket. principal: whose it is, None if it was no good. acts_as: whom the client wants to be."""

    principal: str | None
    acts_as: str = ""


Claim = Credentials | Proof | Ticket
Exchange = Generator[bytes, bytes | None, Claim]


def advance(exchange: Exchange, response: bytes | None) -> bytes | Claim:
    """Return the next challenge, or the claim at the end. response: None to begin. Raises MechanismError."""
    try:
        return exchange.send(response)
    except StopIteration as done:
        claim: Claim = done.value
        return claim


def decode_response(text: bytes) -> bytes:
    """Return the octets of a base64 response. Raises MechanismError, also for the `*` that cancels (RFC 4954 §4)."""
    if text == b"*":
        raise MechanismError(501, "5.7.0", "Authentication cancelled")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise MechanismError(501, "5.5.2", "Not base64") from None


def decode_initial(text: str) -> bytes | None:
    """Return the initial response of the AUTH command, None if there is none. Raises MechanismError."""
    # RFC 4954 §4: a single `=` is an empty initial response.
    return None if not text else b"" if text == "=" else decode_response(text.encode())


def malformed(text: str) -> NoReturn:
    """Raise what a client gets that breaks the rules of a mechanism."""
    raise MechanismError(501, "5.5.2", text)


def invalid() -> NoReturn:
    """Raise what a client gets that no login can be."""
    raise MechanismError(535, "5.7.8", "Authentication credentials invalid")


def prepared(name: bytes) -> str:
    """Return a login as it is looked up: prepared, in lower case. Raises MechanismError."""
    if len(name) > LOGIN_LIMIT:
        invalid()
    try:
        login = saslprep(name.decode("utf-8")).lower()
    except (UnicodeDecodeError, SaslprepError):
        invalid()
    # Nobody is called so, and directories would take spaces for none.
    if not login or any(char.isspace() for char in login):
        invalid()
    return login
