"""What follows from an attempt, by sender, recipients, outcomes and age."""

import pytest

from services.delivery.classify import FailureClass
from services.delivery.outcome import Attempt, outcome_of, same_for_all
from services.delivery.plan import Action, Plan, Withheld, expanded_notice, plan_after, plan_waiting
from shared.envelope import Envelope, Notify, Proof, Recipient, Retry
from shared.policy import RetryRules
from shared.reply import Reply
from tests.unit.services.delivery.envelopes import NOW, envelope_of

RULES = RetryRules(
    steps_s=[60, 300],
    connection_steps_s=[70, 310],
    greylisted_steps_s=[30, 40],
    policy_steps_s=[500],
    codes={"4.2.2": [3000]},
    lifetime_s=10_000,
    delay_notice_after_s=1000,
)
GREY, SPAM, FULL = Reply(450, "4.2.0", "Greylisted"), Reply(421, "4.7.0", "spam"), Reply(452, "4.2.2", "full")
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
    assert plan.retry.retry == Retry(
        attempts=1, not_before=NOW + 60, last_reply="451 4.2.1 later", tried_at=NOW, failure="other", failures=1
    )
    assert (plan.failure, plan.not_before) == (FailureClass.OTHER, NOW + 60)
    assert _notices(plan) == [(Action.FAILED, ["b@x.example"])]


def test_what_is_given_up_has_failed() -> None:
    plan = _plan(envelope_of(received_at=NOW - 10_001), LATER)
    assert plan.retry is None
    assert _notices(plan) == [(Action.FAILED, ["b@example.org"])]


def test_what_expires_together_is_told_together() -> None:
    plan = _plan(envelope_of("a@x.example", "b@x.example", "c@x.example", received_at=NOW - 10_001), LATER, NO, GREY)
    assert [sorted(addresses) for _, addresses in _notices(plan)] == [["a@x.example", "b@x.example", "c@x.example"]]


@pytest.mark.parametrize(
    ("retry", "reply", "delay_s", "failure", "failures"),
    [
        (Retry(), GREY, 30, "greylisted", 1),
        (Retry(attempts=1, failure="greylisted", failures=1), GREY, 40, "greylisted", 2),
        (Retry(attempts=1, failure="greylisted", failures=1), LATER, 60, "other", 1),
        (Retry(attempts=2, failure="other", failures=2), GREY, 30, "greylisted", 1),
        (Retry(), SPAM, 500, "policy", 1),
        (Retry(), FULL, 3000, "mailbox-full", 1),
        (Retry(attempts=9, failure="policy", failures=1), LATER, 300, "other", 1),
    ],
)
def test_each_class_of_failure_goes_down_its_own_ladder(
    retry: Retry, reply: Reply, delay_s: float, failure: str, failures: int
) -> None:
    plan = _plan(envelope_of(retry=retry), reply)
    assert plan.retry is not None
    noted = plan.retry.retry
    assert (plan.delay_s, noted.failure, noted.failures) == (delay_s, failure, failures)
    assert (noted.attempts, noted.tried_at) == (retry.attempts + 1, NOW)


def test_a_hop_that_is_out_of_reach_has_the_ladder_of_connections() -> None:
    outcomes = same_for_all(envelope_of().recipients, Reply(451, "4.4.1", "no connection within 15 s"))
    plan = plan_after(envelope_of(), Attempt(outcomes, hop_failed="no connection"), RULES, NOW)
    assert (plan.delay_s, plan.failure) == (70, FailureClass.CONNECTION)


def test_recipients_put_off_for_different_reasons_are_tried_with_the_soonest() -> None:
    plan = _plan(envelope_of("a@x.example", "b@x.example"), SPAM, GREY)
    assert plan.retry is not None
    assert (plan.delay_s, plan.failure, len(plan.retry.recipients)) == (30, FailureClass.GREYLISTED, 2)


def test_two_reasons_do_not_begin_each_other_s_ladder_anew() -> None:
    envelope, delays = envelope_of("a@x.example", "b@x.example"), []
    for _ in range(4):
        plan = _plan(envelope, GREY, LATER)
        assert plan.retry is not None
        envelope = plan.retry
        delays.append(plan.delay_s)
    assert delays == [30, 40, 40, 40]


def test_recipients_that_were_too_many_go_in_the_next_transaction() -> None:
    plan = _plan(envelope_of("a@x.example", "b@x.example"), OK, Reply(452, "4.5.3", "too many recipients"))
    assert (plan.delay_s, plan.failure) == (5, FailureClass.TOO_MANY)


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


@pytest.mark.parametrize(
    ("age_s", "notices"),
    [(0, []), (1000, [(Action.DELAYED, ["b@example.org"])]), (10_000, [(Action.FAILED, ["b@example.org"])])],
)
def test_a_message_that_waits_without_an_attempt_comes_to_its_notices_all_the_same(
    age_s: float, notices: list[tuple[Action, list[str]]]
) -> None:
    envelope = envelope_of(received_at=NOW - age_s, retry=Retry(attempts=3, failure="connection", failures=3))
    plan = plan_waiting(envelope, "waiting for the hop: refused", 5, RULES, NOW)
    assert _notices(plan) == notices
    assert (plan.retry is None) == (age_s == 10_000)
    if plan.retry is not None:
        noted = plan.retry.retry
        assert (noted.attempts, noted.failures, noted.last_reply) == (3, 3, "waiting for the hop: refused")
        assert (plan.delay_s, plan.not_before, plan.failure) == (5, NOW + 5, None)
        assert plan_waiting(plan.retry, "waiting", 5, RULES, NOW).notices == ()


@pytest.mark.parametrize(
    ("changes", "notify", "told"),
    [
        ({}, (Notify.SUCCESS, Notify.FAILURE), True),
        ({}, (), False),
        ({}, (Notify.NEVER,), False),
        ({"sender": ""}, (Notify.SUCCESS,), False),
        ({"proved": None}, (Notify.SUCCESS,), False),
    ],
)
def test_an_alias_of_several_is_told_where_success_is(
    changes: dict[str, object], notify: tuple[Notify, ...], told: bool
) -> None:
    alias = Recipient("all@x.example", notify)
    notice = expanded_notice(envelope_of(alias, **changes), [alias])
    assert (notice is not None) is told
    if notice is not None:
        assert (notice.action, notice.outcomes[0].recipient) == (Action.EXPANDED, alias)


@pytest.mark.parametrize(
    ("changes", "reply", "shorter"),
    [
        ({"proved": Proof.GATEWAY, "sender": ""}, Reply(552, "5.3.4", "too large"), True),
        ({"proved": Proof.GATEWAY, "sender": ""}, NO, False),
        # Somebody else's notice is not ours to cut.
        ({"proved": Proof.SPF, "sender": ""}, Reply(552, "5.3.4", "too large"), False),
        ({"proved": Proof.LOGIN}, Reply(552, "5.3.4", "too large"), False),
    ],
)
def test_a_notice_of_ours_that_is_too_large_is_to_be_shorter(
    changes: dict[str, object], reply: Reply, *, shorter: bool
) -> None:
    plan = _plan(envelope_of(**changes), reply)
    assert (plan.shorter is not None) is shorter
    # What cannot be made shorter is kept, as before.
    assert bool(plan.quarantined) is (not envelope_of(**changes).sender)
