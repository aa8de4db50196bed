"""What is to be done after an attempt (PURE): which recipients are tried again, reported to the sender, or quarantined.

Input: envelope, outcomes, the retry rules of the hop, the time. Output: `Plan`, which settle.py carries out.
Standards: RFC 5321 §4.5.4.1 and §6.1 (no notice about a notice), RFC 3461 §4.1, §5.2 (which DSNs), RFC 3834.
Recipients that are put off for different reasons stay together, and are tried together when the first of them may be:
a message of its own for each would cost an id, a copy in the queue and a transaction, where one of each will do.
Decided in DESIGN §4: a DSN of any kind goes to proved senders alone; what can be delivered to nobody otherwise goes to
quarantine, so that nothing is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from services.delivery.classify import FailureClass, failure_class, is_too_large
from services.delivery.outcome import Attempt, Outcome, Status, enhanced_of, same_for_all
from services.delivery.retry import ladder, next_delay_s, rung
from shared.envelope import Envelope, Notify, Proof, Recipient
from shared.policy import RetryRules
from shared.reply import Reply


class Action(StrEnum):
    """What a DSN reports (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class Withheld(StrEnum):
    """Why no DSN goes out."""

    NULL_SENDER = "null sender"
    UNPROVED = "sender not proved"
    NOT_WANTED = "the sender asked for none (NOTIFY)"


@dataclass(frozen=True, slots=True)
class Notice:
    """A DSN to write. peer: the host that said the replies, where one did."""

    action: Action
    outcomes: tuple[Outcome, ...]
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """retry: the envelope to try again with, after delay_s, at not_before (Unix seconds).

    failure: why it is put off, None where there was no attempt. withheld: why failures are not reported, None if they
    are. quarantined: the failed recipients whose copy is kept there. shorter: the envelope of a DSN of ours that its
    hop finds too large: where it bears a whole message, it goes again with the header of that, and no more is done.
    """

    delivered: tuple[Outcome, ...] = ()
    failed: tuple[Outcome, ...] = ()
    retry: Envelope | None = None
    delay_s: float = 0.0
    not_before: float = 0.0
    failure: FailureClass | None = None
    notices: tuple[Notice, ...] = ()
    quarantined: tuple[Outcome, ...] = ()
    withheld: Withheld | None = None
    shorter: Envelope | None = None


@dataclass(frozen=True, slots=True)
class _Again:
    """When a recipient may be tried again: after delay_s, its failures of this class being so many in a row."""

    delay_s: float
    failure: FailureClass
    failures: int


def plan_after(envelope: Envelope, attempt: Attempt, rules: RetryRules, now: float) -> Plan:
    """Return what follows from an attempt. now: Unix seconds."""
    deferred = _with(attempt.outcomes, Status.DEFERRED)
    failed = _with(attempt.outcomes, Status.FAILED)
    delivered = _with(attempt.outcomes, Status.DELIVERED)
    again = _again(envelope, attempt, deferred, rules, now) if deferred else None
    if deferred and again is None:
        # RFC 5321 §4.5.4.1: given up, in one report with those refused. The last reply stays the reason.
        failed += tuple(replace(outcome, status=Status.FAILED) for outcome in deferred)
    plan = Plan(delivered=delivered, failed=failed, notices=_success(envelope, attempt, delivered))
    if failed:
        plan = _after_failure(plan, envelope, attempt.peer)
    if again is not None:
        plan = _after_deferral(plan, envelope, attempt, deferred, again, rules=rules, now=now)
    return plan


def plan_waiting(envelope: Envelope, why: str, wait_s: float, rules: RetryRules, now: float) -> Plan:
    """Return what follows where a message waits without an attempt: that is none, but its life runs on.

    why: for trace, and for its sender. wait_s: how long. now: Unix seconds.
    """
    reply = Reply(451, "4.4.7", f"The next hop could not be reached in time; {why}")
    if now - envelope.received_at >= rules.lifetime_s:
        return plan_after(envelope, Attempt(same_for_all(envelope.recipients, reply)), rules, now)
    late = _late(
        envelope, same_for_all(envelope.recipients, Reply(451, "4.4.1", f"Not handed over yet; {why}")), rules, now
    )
    retry = replace(
        envelope.retry, last_reply=why[:500], delay_notice_sent=envelope.retry.delay_notice_sent or bool(late)
    )
    notices = (Notice(Action.DELAYED, late),) if late else ()
    return Plan(retry=replace(envelope, retry=retry), delay_s=wait_s, not_before=now + wait_s, notices=notices)


def expanded_notice(envelope: Envelope, expanded: Sequence[Recipient]) -> Notice | None:
    """Return the DSN for recipients that were put into the place of an alias of several, as far as it is asked for.

    expanded: the recipients as the sender gave them. envelope: as it was before.
    """
    # RFC 3461 §5.2.7: "expanded", and the new recipients no longer ask for SUCCESS.
    wanted = tuple(recipient for recipient in expanded if recipient.wants(Notify.SUCCESS))
    if not wanted or no_dsn(envelope) is not None:
        return None
    reply = Reply(250, "2.1.5", "Taken for each address behind this one")
    return Notice(Action.EXPANDED, same_for_all(wanted, reply))


def no_dsn(envelope: Envelope) -> Withheld | None:
    """Return why no DSN may go to the sender at all, or None."""
    if not envelope.sender:
        # RFC 5321 §6.1: never about a message with a null reverse-path.
        return Withheld.NULL_SENDER
    return Withheld.UNPROVED if envelope.proved is None else None


def _again(
    envelope: Envelope, attempt: Attempt, deferred: Sequence[Outcome], rules: RetryRules, now: float
) -> _Again | None:
    """Return when those put off are tried again, or None where their time is over."""
    choices = []
    for outcome in deferred:
        failure = failure_class(outcome, attempt)
        failures = envelope.retry.failures + 1 if failure.value == envelope.retry.failure else 1
        steps_s = ladder(failure, enhanced_of(outcome), rules)
        place = rung(failures, envelope.retry.attempts + 1)
        delay_s = next_delay_s(place, now - envelope.received_at, steps_s, rules.lifetime_s)
        if delay_s is None:
            return None
        choices.append(_Again(delay_s, failure, failures))
    # The class noted goes on where it can; or two that differ would begin each other's ladder anew for ever.
    same = [choice for choice in choices if choice.failures > 1]
    return min(same or choices, key=lambda choice: choice.delay_s)


def _after_failure(plan: Plan, envelope: Envelope, peer: str) -> Plan:
    withheld = no_dsn(envelope)
    if withheld is not None:
        return replace(plan, quarantined=plan.failed, withheld=withheld, shorter=_shorter(plan, envelope))
    wanted = _wanting(plan.failed, Notify.FAILURE)
    if not wanted:
        return replace(plan, withheld=Withheld.NOT_WANTED)
    return replace(plan, notices=(*plan.notices, Notice(Action.FAILED, wanted, peer)))


def _shorter(plan: Plan, envelope: Envelope) -> Envelope | None:
    is_ours = envelope.proved is Proof.GATEWAY and not envelope.sender
    if plan.delivered or not is_ours or not all(is_too_large(outcome) for outcome in plan.failed):
        return None
    attempts, said = envelope.retry.attempts + 1, str(plan.failed[0].reply)
    return replace(envelope, retry=replace(envelope.retry, attempts=attempts, last_reply=said))


def _after_deferral(
    plan: Plan,
    envelope: Envelope,
    attempt: Attempt,
    deferred: tuple[Outcome, ...],
    again: _Again,
    *,
    rules: RetryRules,
    now: float,
) -> Plan:
    late = _late(envelope, deferred, rules, now)
    retry = replace(
        envelope.retry,
        attempts=envelope.retry.attempts + 1,
        not_before=now + again.delay_s,
        last_reply=str(deferred[0].reply),
        delay_notice_sent=envelope.retry.delay_notice_sent or bool(late),
        tried_at=now,
        failure=again.failure.value,
        failures=again.failures,
    )
    waiting = replace(envelope, recipients=tuple(outcome.recipient for outcome in deferred), retry=retry)
    notices = (*plan.notices, Notice(Action.DELAYED, late, attempt.peer)) if late else plan.notices
    return replace(
        plan,
        retry=waiting,
        delay_s=again.delay_s,
        not_before=retry.not_before,
        failure=again.failure,
        notices=notices,
    )


def _late(envelope: Envelope, deferred: tuple[Outcome, ...], rules: RetryRules, now: float) -> tuple[Outcome, ...]:
    """Return of which recipients the sender is to be told now that they are late; that is done once."""
    is_due = now - envelope.received_at >= rules.delay_notice_after_s and not envelope.retry.delay_notice_sent
    # RFC 3461 §5.2.5: a "delayed" DSN only where NOTIFY allows it.
    return _wanting(deferred, Notify.DELAY) if is_due and no_dsn(envelope) is None else ()


def _success(envelope: Envelope, attempt: Attempt, delivered: tuple[Outcome, ...]) -> tuple[Notice, ...]:
    # RFC 3461 §5.2.1 and §5.2.2: a hop that offers DSN reports for itself; otherwise we say "relayed", or "delivered".
    if attempt.relays_dsn or no_dsn(envelope) is not None:
        return ()
    wanted = _wanting(delivered, Notify.SUCCESS)
    action = Action.DELIVERED if attempt.final else Action.RELAYED
    return (Notice(action, wanted, attempt.peer),) if wanted else ()


def _wanting(outcomes: Sequence[Outcome], event: Notify) -> tuple[Outcome, ...]:
    return tuple(outcome for outcome in outcomes if outcome.recipient.wants(event))


def _with(outcomes: Sequence[Outcome], status: Status) -> tuple[Outcome, ...]:
    return tuple(outcome for outcome in outcomes if outcome.status is status)
