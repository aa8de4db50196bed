"""The wire form of recipient verification, `gatepost.verify.v1` and `gatepost.verified.v1` (PURE).

Owns: edge's question whether a route takes a recipient, and delivery's answer, as JSON bodies.
Input / Output: `VerifyQuestion`, `VerifyAnswer`.
On failure: WireError, naming what is wrong.
Versions: v1 may gain optional fields; a reader ignores what it does not know. Anything else is v2.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError

from shared.explain import explain
from shared.wire import WireError

VERIFY_TYPE = "gatepost.verify.v1"
VERIFIED_TYPE = "gatepost.verified.v1"
_CAUSE_LIMIT = 500
REPLY_LIMIT = 500

# AMQP 0-9-1 §4.2.5.3: a routing key is a short string; longer ones would end the channel that sends them.
_Key = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Recipient = Annotated[str, StringConstraints(min_length=3, max_length=320)]
_ReplyText = Annotated[str, StringConstraints(max_length=REPLY_LIMIT)]


class VerifyResult(StrEnum):
    """What delivery learned. unknown: nothing now; whoever asks must not take that for an answer."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VerifyQuestion:
    """edge → delivery: does the route of this recipient take it? reply_key: routing key of the edge process."""

    id: _Key
    reply_key: _Key
    recipient: _Recipient


@dataclass(frozen=True, slots=True)
class VerifyAnswer:
    """delivery → edge. reply: the hop's own words, or why there is none; for logs, never for clients."""

    id: _Key
    recipient: _Recipient
    result: VerifyResult
    reply: _ReplyText = ""


_QUESTION = TypeAdapter(VerifyQuestion)
_ANSWER = TypeAdapter(VerifyAnswer)


def encode_question(question: VerifyQuestion) -> bytes:
    """Return the body of a question."""
    return _QUESTION.dump_json(question)


def decode_question(message_type: str | None, body: bytes) -> VerifyQuestion:
    """Return the question of a message. Raises WireError."""
    if message_type != VERIFY_TYPE:
        raise WireError(f"type is {message_type!r}, expected {VERIFY_TYPE!r}")
    try:
        return _QUESTION.validate_json(body)
    except ValidationError as error:
        raise WireError(f"verify question: {explain(error)[:_CAUSE_LIMIT]}") from None


def encode_answer(answer: VerifyAnswer) -> bytes:
    """Return the body of an answer."""
    return _ANSWER.dump_json(answer)


def decode_answer(body: bytes) -> VerifyAnswer:
    """Return the answer of a body. Raises WireError."""
    try:
        return _ANSWER.validate_json(body)
    except ValidationError as error:
        raise WireError(f"verify answer: {explain(error)[:_CAUSE_LIMIT]}") from None
