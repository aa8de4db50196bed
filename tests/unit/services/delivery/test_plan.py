"""What follows from an attempt, by sender, recipients, outcomes and age."""

import pytest

from services.delivery.outcome import Attempt, outcome_of
from services.delivery.plan import Action, Plan, Withheld, plan_after
from shared.envelope import Envelope, Notify, Proof, Recipient, Retry
from shared.policy import RetryRules
from shared.reply import Reply
from tests.unit.services.delivery.envelopes import NOW, envelope_of

RULES = RetryRules(steps_s=[60, 300], lifetime_s=10_000, delay_notice_after_s=1000)
OK, LATER, NO = Reply(250, "2.0.0", "ok"), Reply(451, "4.2.1", "later"), Reply(550, "5.1.1", "no")


def _plan(envelope: Envelope, *replies: Reply, **attempt: bool) -> Plan:
    outcomes = tuple(outcome_of(to, reply) for to, reply in zip(envelope.recipients, replies, strict=True))
    return plan_after(envelope, Attempt(outcomes, **attempt), RULES, NOW)  # type: ignore[arg-type]


def _notices(plan: Plan) -> list[tuple[Action, list[str]]]:
    return [(notice.action, [outcome.recipient.address for outcome in notice.outcomes]) for notice in plan.notices]


def test_all_delivered_leaves_nothing_to_do() -> None:
    plan = _plan(envelope_of("a@x.example", "b@x.example"), OK, OK)
    assert (len(plan.delivered), plan.retry, plan.notices, plan.quarantined) == (2, None, (), ())


def test_each_outcome_goes_its_way() -> None:
    plan = _plan(envelope_of("a@x.example", "b@x.example", "c@x.example"), OK, NO, LATER)
    assert plan.retry is not None
    assert [to.address for to in plan.retry.recipients] == ["c@x.example"]
    assert plan.retry.retry == Retry(attempts=1, not_before=NOW + 60, last_reply="451 4.2.1 later")
    assert _notices(plan) == [(Action.FAILED, ["b@x.example"])]


def test_what_is_given_up_has_failed() -> None:
    plan = _plan(envelope_of(received_at=NOW - 10_001), LATER)
    assert plan.retry is None
    assert _notices(plan) == [(Action.FAILED, ["b@example.org"])]


@pytest.mark.parametrize(
    ("changes", "withheld"),
    [
        ({"proved": None}, Withheld.UNPROVED),
        ({"sender": ""}, Withheld.NULL_SENDER),
        ({"sender": "", "proved": Proof.GATEWAY}, Withheld.NULL_SENDER),
    ],
)
def test_no_dsn_without_a_proved_sender_but_quarantine(changes: dict[str, object], withheld: Withheld) -> None:
    never = Recipient("n@x.example", (Notify.NEVER,))
    plan = _plan(envelope_of("b@x.example", never, **changes), NO, NO)
    assert plan.notices == ()
    assert plan.withheld is withheld
    assert [outcome.recipient.address for outcome in plan.quarantined] == ["b@x.example", "n@x.example"]


@pytest.mark.parametrize(
    ("notify", "told"),
    [
        ((), True),
        ((Notify.FAILURE,), True),
        ((Notify.SUCCESS, Notify.DELAY), False),
        ((Notify.NEVER,), False),
    ],
)
def test_a_failure_is_told_as_notify_says(notify: tuple[Notify, ...], told: bool) -> None:
    plan = _plan(envelope_of(Recipient("b@x.example", notify)), NO)
    assert bool(plan.notices) is told
    assert plan.quarantined == ()
    assert plan.withheld is (None if told else Withheld.NOT_WANTED)


@pytest.mark.parametrize(
    ("changes", "notify", "told"),
    [
        ({"received_at": NOW - 1000}, (), True),
        ({"received_at": NOW - 999}, (), False),
        ({"received_at": NOW - 1000, "retry": Retry(delay_notice_sent=True)}, (), False),
        ({"received_at": NOW - 1000, "proved": None}, (), False),
        ({"received_at": NOW - 1000, "sender": ""}, (), False),
        ({"received_at": NOW - 1000}, (Notify.FAILURE,), False),
        ({"received_at": NOW - 1000}, (Notify.DELAY,), True),
    ],
)
def test_a_delay_is_told_once_and_late(changes: dict[str, object], notify: tuple[Notify, ...], told: bool) -> None:
    plan = _plan(envelope_of(Recipient("b@x.example", notify), **changes), LATER)
    assert [action for action, _ in _notices(plan)] == ([Action.DELAYED] if told else [])
    assert plan.retry is not None
    assert plan.retry.retry.delay_notice_sent is (told or "retry" in changes)


@pytest.mark.parametrize(
    ("attempt", "changes", "actions"),
    [
        ({}, {}, [Action.RELAYED]),
        ({"final": True}, {}, [Action.DELIVERED]),
        ({"relays_dsn": True}, {}, []),
        ({"final": True}, {"proved": None}, []),
    ],
)
def test_success_is_told_where_the_hop_does_not(
    attempt: dict[str, bool], changes: dict[str, object], actions: list[Action]
) -> None:
    asks = Recipient("b@x.example", (Notify.SUCCESS,))
    assert [action for action, _ in _notices(_plan(envelope_of(asks, **changes), OK, **attempt))] == actions
    assert _notices(_plan(envelope_of("b@x.example", **changes), OK, **attempt)) == []
