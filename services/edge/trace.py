"""The fields that edge puts before a message (PURE): `Received:` and our own `X-Gatepost-Seen:`.

`X-Gatepost-Seen: <id> <mark> <mark> …` holds one mark per recipient: a keyed digest of the id and the address, so that
a message which comes again to a recipient that it already had here is known as a loop, while a list's post or a forward
that comes home to another recipient passes; and nobody outside learns from it who else received the message.
Standards: RFC 5321 §4.4 (trace), RFC 3848 and RFC 6531 §4.3 (the words of `with`).
"""

import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from services.edge.session import Session, Transaction

SEEN_FIELD = "X-Gatepost-Seen"
MARK_CHARS = 16
_MARKS_PER_LINE = 4


def head(
    message_id: str, hostname: str, session: Session, transaction: Transaction, *, received_at: float, loop_key: bytes
) -> bytes:
    """Return both fields, CRLF included. received_at: Unix seconds."""
    addresses = [recipient.address for recipient in transaction.recipients]
    return _received(message_id, hostname, session, transaction, received_at) + _seen(message_id, addresses, loop_key)


def mark(loop_key: bytes, message_id: str, address: str) -> str:
    """Return the mark of a recipient in the trace field of an id; addresses are compared without case."""
    text = f"{message_id}\0{address.lower()}".encode("utf-8", "surrogatepass")
    return hmac.digest(loop_key, text, "sha256").hex()[:MARK_CHARS]


def protocol_word(session: Session, transaction: Transaction) -> str:
    """Return the word after `with`."""
    if not session.extended_smtp:
        return "SMTP"
    # RFC 3848: S for TLS, A for a login; RFC 6531 §4.3: UTF8SMTP in place of ESMTP.
    base = "UTF8SMTP" if transaction.smtputf8 else "ESMTP"
    return f"{base}{'S' if session.tls else ''}{'A' if session.account else ''}"


def literal(address: str) -> str:
    """Return an IP address as a literal. Standard: RFC 5321 §4.1.3."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _received(message_id: str, hostname: str, session: Session, transaction: Transaction, received_at: float) -> bytes:
    # RFC 5321 §4.4: the name as the client gave it, and the address it came from. The login is nobody's business.
    lines = [
        f"Received: from {session.host_name} ({_client(session)})",
        f"\tby {hostname} (Gatepost) with {protocol_word(session, transaction)} id {message_id}",
    ]
    if session.tls:
        lines.append(f"\t(using {session.tls})")
    if len(transaction.recipients) == 1 and transaction.recipients[0].address.isascii():
        # RFC 5321 §7.6: with several recipients the clause would disclose blind copies.
        lines.append(f"\tfor <{transaction.recipients[0].address}>")
    return ("\r\n".join(lines) + f"; {_date(int(received_at))}\r\n").encode("utf-8", "surrogateescape")


def _client(session: Session) -> str:
    """Return what we know of the client ourselves. RFC 5321 §4.4: TCP-info, its confirmed name and its address."""
    return f"{session.name} {literal(session.address)}" if session.name else literal(session.address)


def _seen(message_id: str, addresses: Iterable[str], loop_key: bytes) -> bytes:
    marks = [mark(loop_key, message_id, address) for address in addresses]
    lines = [" ".join(marks[at : at + _MARKS_PER_LINE]) for at in range(0, len(marks), _MARKS_PER_LINE)]
    return "\r\n\t".join([f"{SEEN_FIELD}: {message_id}", *lines]).encode("ascii") + b"\r\n"


@lru_cache(maxsize=4)
def _date(unix_s: int) -> str:
    return format_datetime(datetime.fromtimestamp(unix_s, tz=UTC))
