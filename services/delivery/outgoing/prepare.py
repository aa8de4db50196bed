"""Owns what becomes of mail of our own users and hosts before it leaves (PURE): completed, cleaned, senders rewritten.

Input: an envelope and its message, `policy.outgoing`. Output: both as they leave; every octet that no rule speaks of
stays. To prepare what is prepared already changes nothing, and all parts of a message are prepared alike.
Standards: RFC 6409 §8, RFC 5322 §3.6, RFC 5321 §4.4.
On failure: never raises; a field that cannot be read beyond doubt is left as it is. So is what stands behind a line
that is no header field, and a message whose header is longer than 256 kB.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import NamedTuple

from services.delivery.outgoing.addresses import rewrite_addresses
from shared.address import Address, AddressError, canonical_local_part, parse_address
from shared.envelope import Direction, Envelope
from shared.policy import Policy
from shared.policy.delivery import OutgoingRules

# RFC 5322 §2.2: a field, with the lines that it is folded into, up to its line end.
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:(?:[^\r]|\r(?!\n)|\r\n(?=[ \t]))*+(?:\r\n|\Z)")
# A longer header than any program writes is not worth the time of all others.
_HEADER_LIMIT = 262_144
_MOST_STEPS = 10
# RFC 5322 §3.6.3 and §3.6.6: blind copies are nobody's business but the sender's.
_BLIND = frozenset({b"bcc", b"resent-bcc"})
_SENDERS = frozenset({b"from", b"sender", b"reply-to"})
_SEEN_ID = re.compile(rb"[ \t]*([0-9a-z]{1,40})\b")
# RFC 5321 §4.4: From-domain is what we heard of the client; the rest is our own.
_OURS = re.compile(rb"\A(Received:)[ \t]+from\b.*?\r\n[ \t]+(?=by [^\r\n]* \(Gatepost\) with )", re.DOTALL)


class _Field(NamedTuple):
    """A field as it stands. key: lower case. raw: with its line end."""

    key: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        return self.raw.partition(b":")[2]


def prepare(envelope: Envelope, message: bytes, policy: Policy, our_name: str) -> tuple[Envelope, bytes]:
    """Return the envelope and the message as they leave. our_name: for the Message-ID of mail without a sender."""
    if envelope.direction is not Direction.OUTBOUND:
        return envelope, message
    rules = policy.outgoing
    change = partial(_changed, rules) if rules.addresses or rules.masquerade else None
    sender = _changed_sender(envelope.sender, change)
    outside = envelope if sender == envelope.sender else replace(envelope, sender=sender)
    fields, end = _fields_of(message)
    # Not what edge hands on: a line that goes on with nothing, or one without an end, to which a field could be added.
    if end > _HEADER_LIMIT or message.startswith((b" ", b"\t")) or (fields and not fields[-1].raw.endswith(b"\r\n")):
        return outside, message
    kept = [_Field(field.key, _rewritten(field, change)) for field in fields]
    if rules.remove_bcc:
        kept = [field for field in kept if field.key not in _BLIND]
    first_id = _first_id(fields) or (envelope.parent or envelope.id).encode()
    if rules.hide_received:
        kept = _without_origin(kept, first_id)
    header = b"".join([field.raw for field in kept])
    if rules.complete:
        header += _missing(kept, envelope, first_id, sender.rpartition("@")[2] or our_name)
    if header != message[:end]:
        message = header + (message[end:] or b"\r\n")
    return outside, message


def _fields_of(message: bytes) -> tuple[list[_Field], int]:
    """Return the fields, and where they end: at the empty line, or at one that is no field."""
    fields: list[_Field] = []
    end = 0
    while end <= _HEADER_LIMIT and (found := _FIELD.match(message, end)) is not None:
        fields.append(_Field(found[1].lower(), found[0]))
        end = found.end()
    return fields, end


def _first_id(fields: list[_Field]) -> bytes:
    """Return the id that edge gave the message, whatever it was split into since; empty if edge never had it."""
    seen = next((field for field in fields if field.key == b"x-gatepost-seen"), None)
    found = _SEEN_ID.match(seen.value) if seen is not None else None
    return found[1] if found else b""


def _missing(fields: list[_Field], envelope: Envelope, first_id: bytes, domain: str) -> bytes:
    keys = {field.key for field in fields}
    added = b""
    if b"date" not in keys:
        # RFC 6409 §8.2: the time at which the message was handed in.
        date = format_datetime(datetime.fromtimestamp(int(envelope.received_at), tz=UTC))
        added += f"Date: {date}\r\n".encode()
    if b"message-id" not in keys:
        # RFC 6409 §8.3. Of the first id, so that it is the same for all recipients and at each attempt.
        right = domain if domain.isascii() and not domain.startswith("[") else "gatepost.invalid"
        added += b"Message-ID: <%b@%b>\r\n" % (first_id, right.encode())
    return added


def _without_origin(fields: list[_Field], first_id: bytes) -> list[_Field]:
    """Return the fields without the way that the message came to us, and without what ours says of the client."""
    ours = next((field for field in fields if field.key == b"received" and _is_ours(field, first_id)), None)
    seen = next((at for at, field in enumerate(fields) if field.key == b"x-gatepost-seen"), 0)
    kept: list[_Field] = []
    for at, field in enumerate(fields):
        if field.key == b"received":
            # RFC 5321 §4.4 has nobody remove trace lines; deliberately, where the policy asks for it. Ours stays.
            if field is ours:
                kept.append(field._replace(raw=_OURS.sub(rb"\1 ", field.raw)))
        # What content found out about the client stands above edge's field.
        elif field.key != b"authentication-results" or at >= seen:
            kept.append(field)
    return kept


def _is_ours(field: _Field, first_id: bytes) -> bool:
    return b" (Gatepost) with " in field.raw and b" id " + first_id in field.raw


def _rewritten(field: _Field, change: Callable[[Address], str | None] | None) -> bytes:
    if change is None or field.key not in _SENDERS:
        return field.raw
    name, colon, value = field.raw.partition(b":")
    try:
        return name + colon + rewrite_addresses(value, change)
    except ValueError:
        return field.raw


def _changed_sender(sender: str, change: Callable[[Address], str | None] | None) -> str:
    if change is None or not sender:
        return sender
    try:
        return change(parse_address(sender)) or sender
    except AddressError:
        return sender


def _changed(rules: OutgoingRules, address: Address) -> str | None:
    """Return what is written for an address, None if it stays.

    Rules are followed until none holds any more, so that doing it twice is doing it once; those that lead in a circle
    change nothing.
    """
    passed = {address}
    at = address
    while (after := _step(rules, at)) is not None:
        if after in passed or len(passed) > _MOST_STEPS:
            return None
        passed.add(after)
        at = after
    return str(at) if at is not address else None


def _step(rules: OutgoingRules, address: Address) -> Address | None:
    # An address of its own comes before its domain, and a domain before those above it.
    text = f"{canonical_local_part(address.local_part)}@{address.domain}".lower()
    if (instead := rules.addresses.get(text)) is not None:
        return parse_address(instead) if instead != text else None
    if (domain := rules.masquerade.get(address.domain) or _masquerade_above(rules, address.domain)) is not None:
        return Address(address.local_part, domain) if domain != address.domain else None
    return None


def _masquerade_above(rules: OutgoingRules, domain: str) -> str | None:
    above = domain.partition(".")[2]
    while above:
        if (instead := rules.masquerade.get(f"*.{above}")) is not None:
            return instead
        above = above.partition(".")[2]
    return None
