"""The links in reports of quarantine (PURE): what each lets its holder do, signed.

A link names one copy, one recipient of it, one thing to do, and when it ends. Whoever holds it is taken for the
recipient: it was sent to that mailbox.
On failure: BadToken, which does not say what was wrong.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from enum import StrEnum

VALID_S = 14 * 86_400
TOKEN_LIMIT = 1_500
# What else is signed with the same secret has another purpose in the place of this one.
_PURPOSE = b"gatepost quarantine digest 1\n"


class Ask(StrEnum):
    """What a link is for: to release the recipient's copy, or to ask an administrator for it."""

    RELEASE = "release"
    ASK = "ask"


class BadToken(ValueError):
    """A link that is not ours, or that has ended."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link says. recipient: as the envelope has it. ends_at: Unix seconds."""

    id: str
    part: str
    recipient: str
    ends_at: int
    ask: Ask


def token_of(ticket: Ticket, secret: str) -> str:
    """Return a ticket as it stands in a link."""
    values = [ticket.id, ticket.part, ticket.recipient, ticket.ends_at, ticket.ask.value]
    body = json.dumps(values, separators=(",", ":")).encode()
    return f"{_text(body)}.{_text(_mark(body, secret))}"


def read_token(token: str, secret: str, now: float) -> Ticket:
    """Return the ticket of a link. Raises BadToken."""
    if len(token) > TOKEN_LIMIT:
        raise BadToken
    body, _, mark = token.partition(".")
    try:
        octets, brought = _octets(body), _octets(mark)
    except (binascii.Error, ValueError):
        raise BadToken from None
    # Before anything of it is read.
    if not hmac.compare_digest(_mark(octets, secret), brought):
        raise BadToken
    message_id, part, recipient, ends_at, ask = json.loads(octets)
    ticket = Ticket(message_id, part, recipient, ends_at, Ask(ask))
    if ticket.ends_at <= now:
        raise BadToken
    return ticket


def _mark(body: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), _PURPOSE + body, hashlib.sha256).digest()


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    # Strictly: a link has one form, so that no two texts are the same link.
    octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(octets) != text:
        raise ValueError("another form of the same octets")
    return octets
