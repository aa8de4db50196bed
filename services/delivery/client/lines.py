"""What is said to a next hop: command lines from an envelope, as far as the hop's extensions allow (PURE).

Input: an envelope, a message, and the extensions that the hop offered. Output: command lines with their CRLF.
Standards: RFC 5321 §4.1.1, RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 3461 (DSN), RFC 2033 (LMTP),
RFC 8689 (REQUIRETLS), RFC 4954 (AUTH).
On failure: `obstacle` returns the reply that stands for "this hop cannot take this message at all".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.envelope import Body, Envelope, Notify, Recipient
from shared.reply import Reply

_PARAMETER = re.compile(r"[!-<>-~]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOTIFY_ORDER = (Notify.NEVER, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY)


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a hop's answer to EHLO offers. size_limit: 0 for none told. auth: SASL mechanisms, in upper case."""

    pipelining: bool = False
    size: bool = False
    size_limit: int = 0
    eight_bit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    starttls: bool = False
    requiretls: bool = False
    auth: frozenset[str] = frozenset()


def read_extensions(lines: Sequence[bytes]) -> Extensions:
    """Return the extensions in the lines of an EHLO or LHLO answer, of which the first is the greeting."""
    words = [line.decode("latin-1").upper().split() for line in lines[1:]]
    offered = {word[0]: word[1:] for word in words if word}
    size = offered.get("SIZE")
    limit = size[0] if size else ""
    return Extensions(
        pipelining="PIPELINING" in offered,
        size=size is not None,
        # RFC 1870 §4: SIZE 0, or no number, means that no limit is told.
        size_limit=int(limit) if limit.isascii() and limit.isdigit() and len(limit) <= 20 else 0,
        eight_bit="8BITMIME" in offered,
        smtputf8="SMTPUTF8" in offered,
        dsn="DSN" in offered,
        starttls="STARTTLS" in offered,
        requiretls="REQUIRETLS" in offered,
        auth=frozenset(offered.get("AUTH", ())),
    )


def needs_smtputf8(envelope: Envelope, message: bytes) -> bool:
    """Whether the message cannot travel without SMTPUTF8: an address or a header field in it is not ASCII."""
    if not envelope.sender.isascii() or not all(to.address.isascii() for to in envelope.recipients):
        return True
    # A client that declares SMTPUTF8 for a plain message must not make it undeliverable (RFC 6531 §3.4 allows both).
    return envelope.smtputf8 and not message.isascii() and not message[: message.find(b"\r\n\r\n")].isascii()


def obstacle(
    envelope: Envelope, message: bytes, offered: Extensions, *, keeps_requiretls: bool = False
) -> Reply | None:
    """Return why a hop with these extensions cannot take the message, or None.

    keeps_requiretls: it is over TLS with a verified host that offers REQUIRETLS, or with a socket of this host.
    """
    if envelope.requiretls and not keeps_requiretls:
        # RFC 8689 §4.2.1: only over TLS with a verified certificate, to a server that offers REQUIRETLS as well.
        return Reply(550, "5.7.30", "REQUIRETLS is asked for, and this session cannot keep it")
    if envelope.body is Body.BINARY:
        # RFC 3030 §3: BINARYMIME must not be sent to a server that does not take it (we send no BDAT).
        return Reply(554, "5.6.3", "Binary content needs a conversion that is not supported")
    if needs_smtputf8(envelope, message) and not offered.smtputf8:
        # RFC 6531 §3.5: not to be sent to a server without SMTPUTF8.
        return Reply(550, "5.6.7", "The next hop does not take internationalized addresses or headers (SMTPUTF8)")
    if 0 < offered.size_limit < len(message):
        # RFC 1870 §6.1: too big for the fixed limit that the server told.
        return Reply(552, "5.3.4", f"Message of {len(message)} octets, the next hop takes {offered.size_limit}")
    if any(_CONTROL.search(address) for address in _addresses(envelope)):
        return Reply(553, "5.1.3", "An address has a control character")
    return None


def mail_line(envelope: Envelope, message: bytes, offered: Extensions) -> bytes:
    """Return the MAIL command."""
    line = f"MAIL FROM:<{envelope.sender}>"
    if offered.size:
        line += f" SIZE={len(message)}"
    # Deliberately, 8-bit content goes as it is to a server without 8BITMIME: converting it would break signatures.
    if offered.eight_bit and not message.isascii():
        line += " BODY=8BITMIME"
    if offered.smtputf8 and needs_smtputf8(envelope, message):
        line += " SMTPUTF8"
    if envelope.requiretls and offered.requiretls:
        # RFC 8689 §4.2.1: the next server is to keep it, too.
        line += " REQUIRETLS"
    if offered.dsn:
        if envelope.ret is not None:
            line += f" RET={envelope.ret}"
        if envelope.envid and _PARAMETER.match(envelope.envid):
            line += f" ENVID={envelope.envid}"
    return f"{line}\r\n".encode()


def rcpt_line(recipient: Recipient, offered: Extensions) -> bytes:
    """Return the RCPT command."""
    line = f"RCPT TO:<{recipient.address}>"
    if offered.dsn:
        if recipient.notify:
            line += " NOTIFY=" + ",".join(value for value in _NOTIFY_ORDER if value in recipient.notify)
        if recipient.orcpt and _PARAMETER.match(recipient.orcpt):
            line += f" ORCPT={recipient.orcpt}"
    return f"{line}\r\n".encode()


def dot_stuffed(message: bytes) -> bytes:
    """Return a CRLF message as it goes through DATA, without the final dot; not copied where nothing changes."""
    # RFC 5321 §4.5.2: a line that begins with a dot gets another.
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") or not stuffed else stuffed + b"\r\n"


def _addresses(envelope: Envelope) -> list[str]:
    return [envelope.sender, *(to.address for to in envelope.recipients)]
