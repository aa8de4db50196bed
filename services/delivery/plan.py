"""What is to be done after an attempt (PURE): which recipients are tried again, reported to the sender, or quarantined.

Input: envelope, outcomes, the policy's retry rules, the time. Output: `Plan`, which settle.py carries out.
Standards: RFC 5321 §4.5.4.1 and §6.1 (no notice about a notice), RFC 3461 §4.1, §5.2 (which DSNs), RFC 3834.
Decided in DESIGN §4: a DSN of any kind goes to proved senders alone; what can be delivered to nobody otherwise goes to
quarantine, so that nothing is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from services.delivery.outcome import Attempt, Outcome, Status
from services.delivery.retry import next_delay_s
from shared.envelope import Envelope, Notify
from shared.policy import RetryRules


class Action(StrEnum):
    """What a DSN reports (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


class Withheld(StrEnum):
    """Why no DSN goes out."""

    NULL_SENDER = "null sender"
    UNPROVED = "sender not proved"
    NOT_WANTED = "the sender asked for none (NOTIFY)"


@dataclass(frozen=True, slots=True)
class Notice:
    """A DSN to write."""

    action: Action
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """retry: the envelope to try again with, after delay_s. withheld: why failures are not reported, None if they are.

    quarantined: the failed recipients whose copy is kept there.
    """

    delivered: tuple[Outcome, ...] = ()
    failed: tuple[Outcome, ...] = ()
    retry: Envelope | None = None
    delay_s: float = 0.0
    notices: tuple[Notice, ...] = ()
    quarantined: tuple[Outcome, ...] = ()
    withheld: Withheld | None = None


def plan_after(envelope: Envelope, attempt: Attempt, rules: RetryRules, now: float) -> Plan:
    """Return what follows from an attempt. now: Unix seconds."""
    deferred = _with(attempt.outcomes, Status.DEFERRED)
    failed = _with(attempt.outcomes, Status.FAILED)
    delivered = _with(attempt.outcomes, Status.DELIVERED)
    delay_s = next_delay_s(envelope.retry.attempts + 1, now - envelope.received_at, rules) if deferred else None
    if deferred and delay_s is None:
        # RFC 5321 §4.5.4.1: given up. The last reply stays the reason.
        failed += tuple(replace(outcome, status=Status.FAILED) for outcome in deferred)
        deferred = ()
    plan = Plan(delivered=delivered, failed=failed, notices=_success(envelope, attempt, delivered))
    if failed:
        plan = _after_failure(plan, envelope)
    if deferred and delay_s is not None:
        plan = _after_deferral(plan, envelope, deferred, delay_s, rules=rules, now=now)
    return plan


def no_dsn(envelope: Envelope) -> Withheld | None:
    """Return why no DSN may go to the sender at all, or None."""
    if not envelope.sender:
        # RFC 5321 §6.1: never about a message with a null reverse-path.
        return Withheld.NULL_SENDER
    return Withheld.UNPROVED if envelope.proved is None else None


def _after_failure(plan: Plan, envelope: Envelope) -> Plan:
    withheld = no_dsn(envelope)
    if withheld is not None:
        return replace(plan, quarantined=plan.failed, withheld=withheld)
    wanted = _wanting(plan.failed, Notify.FAILURE)
    if not wanted:
        return replace(plan, withheld=Withheld.NOT_WANTED)
    return replace(plan, notices=(*plan.notices, Notice(Action.FAILED, wanted)))


def _after_deferral(
    plan: Plan, envelope: Envelope, deferred: tuple[Outcome, ...], delay_s: float, *, rules: RetryRules, now: float
) -> Plan:
    late = now - envelope.received_at >= rules.delay_notice_after_s and not envelope.retry.delay_notice_sent
    wanted = _wanting(deferred, Notify.DELAY) if late and no_dsn(envelope) is None else ()
    retry = replace(
        envelope.retry,
        attempts=envelope.retry.attempts + 1,
        not_before=now + delay_s,
        last_reply=str(deferred[0].reply),
        delay_notice_sent=envelope.retry.delay_notice_sent or bool(wanted),
    )
    again = replace(envelope, recipients=tuple(outcome.recipient for outcome in deferred), retry=retry)
    notices = (*plan.notices, Notice(Action.DELAYED, wanted)) if wanted else plan.notices
    return replace(plan, retry=again, delay_s=delay_s, notices=notices)


def _success(envelope: Envelope, attempt: Attempt, delivered: tuple[Outcome, ...]) -> tuple[Notice, ...]:
    # RFC 3461 §5.2.1 and §5.2.2: a hop that offers DSN reports for itself; otherwise we say "relayed", or "delivered".
    if attempt.relays_dsn or no_dsn(envelope) is not None:
        return ()
    wanted = _wanting(delivered, Notify.SUCCESS)
    return (Notice(Action.DELIVERED if attempt.final else Action.RELAYED, wanted),) if wanted else ()


def _wanting(outcomes: Sequence[Outcome], event: Notify) -> tuple[Outcome, ...]:
    return tuple(outcome for outcome in outcomes if outcome.recipient.wants(event))


def _with(outcomes: Sequence[Outcome], status: Status) -> tuple[Outcome, ...]:
    return tuple(outcome for outcome in outcomes if outcome.status is status)
