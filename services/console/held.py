"""From a delivery of `gatepost.quarantine` to its row (PURE).

Input: the body, headers, type and message id, in wire form with a note, or whatever else the broker dead-lettered.
Output: `HeldMail`; what cannot be parsed is kept as raw bytes and headers; `poison` or `unexplained` is its reason.
On failure: none; every input has a row.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header

from services.console.rows import LAST_TIME, TEXT_LIMIT, clean
from shared.envelope import Envelope
from shared.event import Event, EventKind, Facts, Stage
from shared.wire import ENVELOPE, QuarantineNote, WireError, read_envelope, read_note

POISON = "poison"
UNEXPLAINED = "unexplained"
HELD = "held"


@dataclass(frozen=True, slots=True)
class HeldMail:
    """A row of the quarantine. envelope: JSON as it came, or None if unreadable. headers: JSON of all of them."""

    id: str
    part: str
    reason: str
    check: str
    evidence: str
    sender: str | None
    recipients: str | None
    subject: str | None
    message_type: str | None
    envelope: str | None
    headers: str
    message: bytes
    size_bytes: int
    received_at: float
    stored_at: float
    state: str
    state_at: float


def held_mail(
    body: bytes, headers: Mapping[str, object], message_type: str | None, message_id: str | None, now: float
) -> HeldMail:
    """Return the row of a quarantined mail."""
    envelope, problem = _envelope(headers, message_type)
    note = _note(headers, problem)
    recipients = ", ".join(r.address for r in envelope.recipients) if envelope else None
    subject = subject_of(body)
    return HeldMail(
        id=envelope.id[:40] if envelope else _name(message_id, body),
        part=part_of(recipients if recipients is not None else hashlib.sha256(body).hexdigest(), note.reason),
        reason=clean(note.reason)[:TEXT_LIMIT],
        check=clean(note.check)[:TEXT_LIMIT],
        evidence=clean(note.evidence)[: 4 * TEXT_LIMIT],
        sender=clean(envelope.sender) if envelope else None,
        recipients=clean(recipients)[:TEXT_LIMIT] if recipients is not None else None,
        subject=clean(subject)[:TEXT_LIMIT] if subject is not None else None,
        message_type=clean(message_type) if message_type is not None else None,
        envelope=_plain(headers[ENVELOPE]) if envelope else None,
        headers=json.dumps(dict(headers), default=_plain),
        message=body,
        size_bytes=len(body),
        received_at=envelope.received_at if envelope and 0 <= envelope.received_at < LAST_TIME else now,
        stored_at=now,
        state=HELD,
        state_at=now,
    )


def broker_event(mail: HeldMail) -> Event | None:
    """Return the event of a mail that the broker put into quarantine, for no stage tells of it; None for the others."""
    if mail.reason not in (POISON, UNEXPLAINED):
        return None
    # The same mail coming again is the same event.
    uid = f"held-{mail.part}-{hashlib.sha256(mail.id.encode('utf-8', 'replace')).hexdigest()[:16]}"
    facts: Facts = {"reason": mail.reason, "evidence": mail.evidence, "recipients": mail.recipients or "(not readable)"}
    return Event(uid, mail.id, mail.stored_at, Stage.CONSOLE, "", EventKind.QUARANTINED, facts)


def part_of(recipients: str, reason: str) -> str:
    """Return what tells the copies of one id apart: copies for other recipients or another reason are other mails."""
    ordered = "\n".join(sorted(recipients.split(", ")))
    return hashlib.sha256(f"{ordered}\n{reason}".encode("utf-8", "replace")).hexdigest()[:8]


def subject_of(message: bytes) -> str | None:
    """Return the decoded subject of a message, without parsing the rest of it; None if there is none."""
    # A message that begins with an empty line has no header; the line break before makes that the same case.
    head = (b"\r\n" + message[:65_536]).partition(b"\r\n\r\n")[0]
    lines = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n")
    raw = next((line[8:].strip() for line in lines if line[:8].lower() == b"subject:"), None)
    if raw is None:
        return None
    text = raw[: 2 * TEXT_LIMIT].decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(text)))
    except (MessageError, ValueError, LookupError):  # an encoded word that is none, or a charset that nobody knows
        return text


def _envelope(headers: Mapping[str, object], message_type: str | None) -> tuple[Envelope | None, str]:
    try:
        envelope = read_envelope(message_type, headers)
    except (WireError, UnicodeDecodeError) as error:
        return None, str(error)
    return (envelope, "") if "\0" not in envelope.id and envelope.id else (None, "the envelope has no usable id")


def _note(headers: Mapping[str, object], problem: str) -> QuarantineNote:
    try:
        note = read_note(headers)
    except (WireError, UnicodeDecodeError) as error:
        note, problem = None, problem or str(error)
    if note is not None:
        return note
    death = _death(headers)
    if death:
        return QuarantineNote(POISON, "; ".join(filter(None, (death, problem))))
    return QuarantineNote(UNEXPLAINED, problem or "nobody said why it was put here")


def _death(headers: Mapping[str, object]) -> str:
    """Return in words why the broker put it here, from its header `x-death`; empty if it did not."""
    deaths = headers.get("x-death")
    if not isinstance(deaths, list) or not deaths or not isinstance(deaths[0], Mapping):
        return ""
    queue, why = _plain(deaths[0].get("queue")), _plain(deaths[0].get("reason"))
    if why == "delivery_limit":
        return f"taken from {queue} and given back too often: what handles it there dies of it"
    return f"given up by the broker in {queue}: {why}"


def _name(message_id: str | None, body: bytes) -> str:
    usable = message_id is not None and 0 < len(message_id) <= 40 and "\0" not in message_id
    return message_id if usable and message_id else f"unknown-{hashlib.sha256(body).hexdigest()[:18]}"


def _plain(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)
