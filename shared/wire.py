"""The wire form of a mail between the stages, `gatepost.mail.v1` (PURE).

Owns: how an envelope stands in an AMQP message: body = the message bytes exactly, header `envelope` = JSON.
Input / Output: `Envelope` and header tables; and the small messages `Judgement`, `Ask` and `Said` of the verdict's way.
On failure: WireError, naming the header and what is wrong with it; EnvelopeTooLarge where it would not fit one frame.
Versions: v1 may gain optional fields; a reader ignores what it does not know. Anything else is v2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from shared.envelope import Envelope
from shared.explain import explain
from shared.reply import Reply
from shared.verdict import Action, Verdict

MAIL_TYPE = "gatepost.mail.v1"
# AMQP 0-9-1 §4.2.6: headers travel in one frame; RabbitMQ's default frame_max is 131,072 octets.
HEADERS_LIMIT_BYTES = 120_000
# What edge may use of it: content and delivery add their verdict, proof and last reply to the same envelope later.
FIRST_LIMIT_BYTES = 90_000
# A cause stands in logs and in the quarantine note, which is a header itself.
_CAUSE_LIMIT = 500

ENVELOPE = "envelope"
REPLY_KEY = "reply_key"
TOKEN = "token"
QUARANTINE = "quarantine"

_ENVELOPE = TypeAdapter(Envelope)


class WireError(ValueError):
    """A message that is not in the form of this module."""


class EnvelopeTooLarge(WireError):
    """An envelope that does not fit one AMQP frame."""


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the verdict is awaited. key: routing key of the edge process. token: proves that `said` is edge's."""

    key: str
    token: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """content → edge: the verdict on a mail. said_key: routing key of the content process that waits for `Said`.

    reply: what the verdict comes to; None asks only what was said (after a redelivery, or again after silence).
    """

    id: str
    said_key: str
    token: str
    action: Action | None = None
    code: int = 0
    enhanced: str = ""
    text: str = ""

    @property
    def reply(self) -> Reply | None:
        """The reply that the verdict comes to, or None."""
        return Reply(self.code, self.enhanced, self.text) if self.code else None


@dataclass(frozen=True, slots=True)
class Said:
    """edge → content: what the client was told. code: the SMTP code, or 0 while the client still waits."""

    id: str
    token: str
    code: int


@dataclass(frozen=True, slots=True)
class QuarantineNote:
    """Why a mail is in quarantine. reason: `refused`, `poison`, `undeliverable`, …; check: which one, if any."""

    reason: str
    evidence: str
    check: str = ""


_JUDGEMENT = TypeAdapter(Judgement)
_SAID = TypeAdapter(Said)
_NOTE = TypeAdapter(QuarantineNote)


def encode_envelope(envelope: Envelope, limit_bytes: int = HEADERS_LIMIT_BYTES) -> str:
    """Return the JSON of an envelope. Raises EnvelopeTooLarge."""
    text = _ENVELOPE.dump_json(envelope, exclude_defaults=True)
    if len(text) > limit_bytes:
        raise EnvelopeTooLarge(f"envelope of {len(text)} octets, at most {limit_bytes} fit one frame")
    return text.decode()


def mail_headers(
    envelope: Envelope, reply_to: ReplyTo | None = None, note: QuarantineNote | None = None
) -> dict[str, str]:
    """Return the AMQP headers of a mail, built afresh: never copy a received message's. Raises EnvelopeTooLarge.

    With `reply_to` the mail is edge's, not judged yet, and has to leave room for what the later stages add.
    """
    limit_bytes = HEADERS_LIMIT_BYTES if reply_to is None else FIRST_LIMIT_BYTES
    headers = {ENVELOPE: encode_envelope(envelope, limit_bytes)}
    if reply_to is not None:
        headers[REPLY_KEY] = reply_to.key
        headers[TOKEN] = reply_to.token
    if note is not None:
        headers[QUARANTINE] = encode_note(note)
    return headers


def encode_note(note: QuarantineNote) -> str:
    """Return the JSON of why a mail is in quarantine."""
    return _NOTE.dump_json(note).decode()


def read_envelope(message_type: str | None, headers: Mapping[str, object]) -> Envelope:
    """Return the envelope of a received mail. Raises WireError."""
    if message_type != MAIL_TYPE:
        raise WireError(f"type is {message_type!r}, expected {MAIL_TYPE!r}")
    try:
        envelope = _ENVELOPE.validate_json(_text(headers, ENVELOPE))
    except ValidationError as error:
        raise WireError(f"header {ENVELOPE!r}: {_cause(error)}") from None
    if not envelope.recipients:
        raise WireError(f"header {ENVELOPE!r}: no recipients")
    return envelope


def read_reply_to(headers: Mapping[str, object]) -> ReplyTo | None:
    """Return where the verdict is awaited, or None. Raises WireError if only half of it is there."""
    if REPLY_KEY not in headers and TOKEN not in headers:
        return None
    return ReplyTo(_text(headers, REPLY_KEY), _text(headers, TOKEN))


def read_note(headers: Mapping[str, object]) -> QuarantineNote | None:
    """Return why a mail is in quarantine, or None where nobody said. Raises WireError."""
    if QUARANTINE not in headers:
        return None
    try:
        return _NOTE.validate_json(_text(headers, QUARANTINE))
    except ValidationError as error:
        raise WireError(f"header {QUARANTINE!r}: {_cause(error)}") from None


def encode_judgement(judgement: Judgement) -> bytes:
    """Return the body of a verdict message."""
    return _JUDGEMENT.dump_json(judgement)


def decode_judgement(body: bytes) -> Judgement:
    """Return the verdict message of a body. Raises WireError."""
    try:
        return _JUDGEMENT.validate_json(body)
    except ValidationError as error:
        raise WireError(f"verdict message: {_cause(error)}") from None


def encode_said(said: Said) -> bytes:
    """Return the body of a `said` message."""
    return _SAID.dump_json(said)


def decode_said(body: bytes) -> Said:
    """Return the `said` message of a body. Raises WireError."""
    try:
        return _SAID.validate_json(body)
    except ValidationError as error:
        raise WireError(f"said message: {_cause(error)}") from None


def judgement_of(message_id: str, said_key: str, token: str, verdict: Verdict, reply: Reply) -> Judgement:
    """Return the verdict message that carries a decision and its reply."""
    return Judgement(message_id, said_key, token, verdict.action, reply.code, reply.enhanced, reply.text)


def _text(headers: Mapping[str, object], name: str) -> str:
    value = headers.get(name)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise WireError(f"header {name!r} is not UTF-8") from None
    if not isinstance(value, str):
        raise WireError(f"header {name!r} is {'missing' if value is None else type(value).__name__}, expected text")
    return value


def _cause(error: ValidationError) -> str:
    return explain(error)[:_CAUSE_LIMIT]
