"""The wire form of a trial, `gatepost.trial.v1` and `gatepost.tried.v1` (PURE).

Owns: the console's question what content makes of a message today, and content's answer. A trial is no mail: it has a
type, an exchange and a queue of its own, so that nothing that handles mail can take it for one, not even a content
process of a version that does not know of trials; and content answers to `gatepost.to.tried` alone.
Input / Output: body = the message bytes, headers `envelope` and `reply_key` as in shared/wire.py; `TrialAnswer` as a
JSON body.
On failure: WireError, naming what is wrong.
Versions: v1 may gain optional fields; a reader ignores what it does not know. Anything else is v2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints, TypeAdapter, ValidationError

from shared.broker.topology import TRIAL_TTL_MS
from shared.envelope import Envelope
from shared.explain import explain
from shared.verdict import Action
from shared.wire import MAIL_TYPE, REPLY_KEY, WireError, mail_headers, read_envelope

TRIAL_TYPE = "gatepost.trial.v1"
TRIED_TYPE = "gatepost.tried.v1"
# Below what edge takes by default: an administrator's question is not to be dearer than a stranger's mail.
TRIAL_LIMIT_BYTES = 10_000_000
# DESIGN §4: content judges within 12 s. The rest is for the way there and back.
TRIAL_S = TRIAL_TTL_MS / 1000 + 12.0 + 3.0
ANSWER_LIMIT_BYTES = 2_000_000
TEXT_LIMIT = 500
_CAUSE_LIMIT = 500

# AMQP 0-9-1 §4.2.5.3: a routing key is a short string; longer ones would end the channel that sends them.
_Key = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Text = Annotated[str, StringConstraints(max_length=TEXT_LIMIT)]
Facts = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Trial:
    """console → content: what is this message today? reply_key: routing key of who asks."""

    envelope: Envelope
    reply_key: str


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """content → console. findings, verdicts: as the events `checked` and `judged` tell them, verdicts by domain.

    action: of what the client would be told, reply: in which words. problem: why there is no verdict.
    """

    id: _Key
    policy_version: int = 0
    took_ms: float = 0.0
    findings: Annotated[tuple[Facts, ...], Field(max_length=100)] = ()
    verdicts: dict[str, Facts] = field(default_factory=dict)
    action: Action | None = None
    reply: _Text = ""
    problem: _Text = ""


_KEY = TypeAdapter(_Key)
_ANSWER = TypeAdapter(TrialAnswer)


def trial_headers(trial: Trial) -> dict[str, str]:
    """Return the AMQP headers of a trial. Raises EnvelopeTooLarge."""
    return mail_headers(trial.envelope) | {REPLY_KEY: trial.reply_key}


def read_trial(message_type: str | None, headers: Mapping[str, object]) -> Trial:
    """Return the trial of a message. Raises WireError."""
    if message_type != TRIAL_TYPE:
        raise WireError(f"type is {message_type!r}, expected {TRIAL_TYPE!r}")
    try:
        key = _KEY.validate_python(headers.get(REPLY_KEY))
    except ValidationError as error:
        raise WireError(f"header {REPLY_KEY!r}: {explain(error)[:_CAUSE_LIMIT]}") from None
    return Trial(read_envelope(MAIL_TYPE, headers), key)


def encode_answer(answer: TrialAnswer) -> bytes:
    """Return the body of an answer; of one that is too long, the body of one that says so."""
    body = _ANSWER.dump_json(answer)
    if len(body) <= ANSWER_LIMIT_BYTES:
        return body
    return _ANSWER.dump_json(TrialAnswer(answer.id, problem=f"the verdict has {len(body)} octets, too many to tell"))


def decode_answer(body: bytes) -> TrialAnswer:
    """Return the answer of a body. Raises WireError."""
    if len(body) > ANSWER_LIMIT_BYTES:
        raise WireError(f"answer of {len(body)} octets")
    try:
        return _ANSWER.validate_json(body)
    except ValidationError as error:
        raise WireError(f"answer to a trial: {explain(error)[:_CAUSE_LIMIT]}") from None
