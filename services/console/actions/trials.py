"""What content makes of a real message today, without delivering it (I/O: SQL, broker).

A message that is handed in, or a held copy, goes to content as a trial (shared/wire_trial.py) and comes back as a
verdict. It is no mail: nothing is delivered, held, told in a trace, counted against an account, or learned.
Decided here: who reads mail may ask, of held copies as far as they see them; a message of nobody's domains is for who
sees all. The audit has each question, before it is asked.
On failure: ActionError; NotTried where content gives no verdict.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from services.console.actions import quarantine
from services.console.actions.desk import ActionError, Desk, NotUnderstood
from services.console.actions.policies import active_policy
from services.console.actions.quarantine_bounds import as_seen
from services.console.actions.simulate import simulate_message
from services.console.answers.simulate import Judged, Simulated
from services.console.simulate import Asked, not_told
from services.console.story.content import checked, judged
from services.console.story.decision import decisions
from services.console.trial.asking import ask_content
from services.console.trial.message import as_sent, envelope_again, envelope_of
from shared.envelope import Envelope
from shared.ids import new_id
from shared.verdict import Action
from shared.wire_trial import TRIAL_LIMIT_BYTES, TrialAnswer

_LETS_THROUGH = frozenset({Action.ACCEPT.value, Action.TAG.value})


class TooLarge(ActionError):
    """A message that is larger than what is tried."""

    status = 413

    def __init__(self) -> None:
        super().__init__(f"a message of more than {TRIAL_LIMIT_BYTES} octets is not tried")


async def try_message(desk: Desk, asked: Asked, message: bytes) -> Simulated:
    """Return what a message would meet at edge, and what content makes of it. Raises ActionError."""
    desk.must_see_all("what a message would meet")
    if not message.strip():
        raise NotUnderstood("the message is empty")
    sent = as_sent(message)
    asked = replace(asked, size_bytes=len(sent))
    found = await simulate_message(desk, asked)
    entry = await active_policy(desk)
    if entry is None:
        raise ActionError("no policy is in force any more")
    try:
        envelope = envelope_of(entry.policy(), asked, sent, new_id(), time.time())
    except ValueError as error:
        raise NotUnderstood(str(error)) from None
    answer = await _tried(desk, envelope, sent, "simulate message", envelope.id)
    return replace(found, judged=_told(answer), not_told=tuple(not_told(entry.policy(), asked, looked_inside=True)))


async def try_held(desk: Desk, message_id: str, part: str | None = None) -> Judged:
    """Return what content makes of a held copy today; the copy stays as it is. Raises ActionError."""
    copies = await quarantine.find(desk, message_id, part)
    if len(copies) > 1:
        parts = ", ".join(copy.part for copy in copies)
        raise ActionError(f"{copies[0].id} has {len(copies)} copies: choose one by its part, {parts}")
    [copy] = copies
    if not copy.message:
        raise ActionError(f"{copy.id} was deleted: there is nothing to judge")
    held = quarantine.envelope_of(copy)
    if held is None:
        raise ActionError(f"{copy.id} has no readable envelope, so nobody knows whom it is for")
    envelope = envelope_again(as_seen(desk.caller, held), copy.message, new_id(), time.time())
    return _told(await _tried(desk, envelope, copy.message, "quarantine judge", copy.id, part=copy.part))


async def _tried(
    desk: Desk, envelope: Envelope, message: bytes, action: str, target: str, **details: object
) -> TrialAnswer:
    if len(message) > TRIAL_LIMIT_BYTES:
        raise TooLarge
    async with desk.database.writing() as connection:
        await desk.note(
            connection,
            action,
            target,
            client=envelope.client.address,
            sender=envelope.sender,
            recipients=[one.address for one in envelope.recipients],
            size_bytes=len(message),
            sha256=hashlib.sha256(message).hexdigest(),
            **details,
        )
    return await ask_content(desk.settings.broker, envelope, message)


def _told(answer: TrialAnswer) -> Judged:
    facts: dict[str, JsonValue] = {
        "verdicts": dict(answer.verdicts),
        "policy_version": answer.policy_version,
        "took_ms": answer.took_ms,
    }
    actions = [str(verdict.get("action")) for verdict in answer.verdicts.values()]
    return Judged(
        policy_version=answer.policy_version,
        took_ms=answer.took_ms,
        lets_through=bool(actions) and set(actions) <= _LETS_THROUGH,
        reply=answer.reply,
        in_short=tuple(decisions(facts) or _nothing(actions)),
        verdict=tuple(judged(facts)),
        seen=tuple(checked({"findings": list(answer.findings)})),
        findings=answer.findings,
        verdicts=answer.verdicts,
    )


def _nothing(actions: Sequence[str]) -> list[str]:
    return ["No check objects to it."] if actions else ["Content decided nothing: it has no recipients."]
