"""Greylisting's decisions: who is never asked, what a try comes to, what counts as the same try."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.decide.greylist import (
    Judged,
    Seen,
    Step,
    greylisted,
    is_exempt,
    is_known_network,
    judge_try,
    read_seen,
)
from services.edge.decide.greylist_keys import keys_of, sent_key, wrote_key
from services.edge.decide.refusal import RefusalReason
from services.edge.session import Session
from shared.accounts import Account
from shared.envelope import Proof
from shared.policy import Listener, PolicyError, Purpose, parse_policy
from shared.policy.greylist import GreylistRules

POLICY = parse_policy(
    """
[greylist]
enabled = true
exempt = [
    { networks = ["198.51.100.0/24"] },
    { reverse_names = [".friend.test"] },
    { networks = ["203.0.113.0/24"], helo_names = ["mail.known.test"] },
]
senders = ["@codes.test", "news@.lists.test"]
recipients = ["help@ours.test"]
[domains."ours.test"]
route = "mx"
recipients = "any"
[domains."calm.test"]
route = "mx"
recipients = "any"
greylisting = false
"""
)
STRANGER = Session("mx", Listener(purpose=Purpose.INBOUND), "192.0.2.1", 1, host_name="mail.away.test", name="")
RULES = GreylistRules(wait_s=60, retry_within_s=3600, allow_after=3, remember_s=36_000)
NOW = 1_700_000_000.0

SENDER, RECIPIENT = "x@away.test", "bob@ours.test"


@pytest.mark.parametrize(
    "session, sender, recipient, expected",
    [
        (STRANGER, SENDER, RECIPIENT, False),
        (STRANGER, "", RECIPIENT, False),
        (replace(STRANGER, account=Account("alice", "")), SENDER, RECIPIENT, True),
        (replace(STRANGER, relay_proof=Proof.RELAY_LIST), SENDER, RECIPIENT, True),
        (replace(STRANGER, relay_proof=Proof.CLIENT_CERTIFICATE), SENDER, RECIPIENT, True),
        (replace(STRANGER, trusted=True), SENDER, RECIPIENT, True),
        (replace(STRANGER, rules=Listener(purpose=Purpose.SUBMISSION)), SENDER, RECIPIENT, True),
        (replace(STRANGER, rules=Listener(purpose=Purpose.RELAY)), SENDER, RECIPIENT, True),
        (STRANGER, SENDER, "postmaster@ours.test", True),
        (STRANGER, SENDER, "Abuse@ours.test", True),
        (STRANGER, SENDER, '"postmaster"@ours.test', True),
        (STRANGER, SENDER, "postmaster2@ours.test", False),
        (STRANGER, SENDER, "bob@calm.test", True),
        (STRANGER, SENDER, "help@ours.test", True),
        (STRANGER, "no-reply@codes.test", RECIPIENT, True),
        (STRANGER, "no-reply@sub.codes.test", RECIPIENT, False),
        (STRANGER, "news@a.lists.test", RECIPIENT, True),
        (replace(STRANGER, address="198.51.100.9"), SENDER, RECIPIENT, True),
        (replace(STRANGER, address="::ffff:198.51.100.9"), SENDER, RECIPIENT, True),
        (replace(STRANGER, name="mx.friend.test"), SENDER, RECIPIENT, True),
        (replace(STRANGER, name=None), SENDER, RECIPIENT, False),
        (replace(STRANGER, address="203.0.113.9"), SENDER, RECIPIENT, False),
        (replace(STRANGER, address="203.0.113.9", host_name="mail.known.test"), SENDER, RECIPIENT, True),
    ],
)
def test_who_is_never_asked(session: Session, sender: str, recipient: str, expected: bool) -> None:
    assert is_exempt(POLICY, session, sender, recipient) is expected


@pytest.mark.parametrize(
    "seen, step, left_s",
    [
        (None, Step.BEGIN, 60),
        (Seen(NOW), Step.WAIT, 60),
        (Seen(NOW - 59), Step.WAIT, 1),
        (Seen(NOW - 60), Step.PASS_AND_NOTE, 0),
        (Seen(NOW - 3600), Step.PASS_AND_NOTE, 0),
        (Seen(NOW - 3601), Step.BEGIN, 60),
        # A clock that was set back.
        (Seen(NOW + 5), Step.BEGIN, 60),
        (Seen(NOW + 5, passed=True), Step.PASS, 0),
        (Seen(NOW, passed=True), Step.PASS, 0),
        (Seen(NOW - 4500, passed=True), Step.PASS, 0),
        (Seen(NOW - 4501, passed=True), Step.PASS_AND_NOTE, 0),
        (Seen(NOW - 36_000, passed=True), Step.PASS_AND_NOTE, 0),
        (Seen(NOW - 36_001, passed=True), Step.BEGIN, 60),
    ],
)
def test_what_a_try_comes_to(seen: Seen | None, step: Step, left_s: float) -> None:
    assert judge_try(seen, NOW, RULES) == Judged(step, left_s)


rules = st.builds(
    lambda wait_s, window_s, remember_s: GreylistRules(
        wait_s=wait_s, retry_within_s=max(60, wait_s + window_s), remember_s=remember_s
    ),
    st.integers(0, 3600),
    st.integers(1, 90_000),
    st.integers(3600, 4_000_000),
)
gaps_s = st.one_of(st.floats(0, 200_000), st.floats(0, 100), st.floats(-1000, 0))


@given(rules, st.lists(gaps_s, max_size=30))
def test_no_try_passes_unless_another_came_long_enough_before(rules: GreylistRules, gaps: list[float]) -> None:
    now, seen = NOW, None
    tries: list[float] = []
    passed = False
    for gap_s in gaps:
        now += gap_s
        judged = judge_try(read_seen(seen), now, rules)
        if judged.passes:
            assert passed or any(earlier + rules.wait_s <= now + 1e-6 for earlier in tries)
            if judged.step is Step.PASS_AND_NOTE:
                seen = str(Seen(now, passed=True))
        elif judged.step is Step.BEGIN:
            seen = str(Seen(now))
        passed = judged.passes
        tries.append(now)


@given(rules, st.floats(0, 1))
def test_a_retry_between_the_ends_of_the_range_passes(rules: GreylistRules, where: float) -> None:
    first = str(Seen(NOW))
    later_s = rules.wait_s + where * (rules.retry_within_s - rules.wait_s)
    assert judge_try(read_seen(first), NOW + later_s, rules).passes


@given(rules, st.floats(0, 1))
def test_a_retry_that_comes_when_it_was_told_to_passes(rules: GreylistRules, where: float) -> None:
    now = NOW + where * rules.wait_s
    told = judge_try(Seen(NOW), now, rules)
    assert told.passes is (now - NOW >= rules.wait_s)
    assert judge_try(Seen(NOW), now + told.left_s + 0.001, rules).passes


@given(st.builds(Seen, st.floats(0, 1e11), st.booleans()))
def test_what_is_remembered_reads_as_it_was_written(seen: Seen) -> None:
    assert read_seen(str(seen)) == seen


@given(st.one_of(st.none(), st.text(), st.text().map(lambda text: f"first {text}"), st.just("passed nan")))
def test_what_the_state_says_never_fails(text: str | None) -> None:
    assert judge_try(read_seen(text), NOW, RULES).step in Step


@pytest.mark.parametrize(
    "count, expected", [(None, False), ("0", False), ("2", False), ("3", True), ("44", True), ("x", False), ("", False)]
)
def test_a_network_is_known_after_so_many_successes(count: str | None, expected: bool) -> None:
    assert is_known_network(count, RULES) is expected


@pytest.mark.parametrize("left_s, words", [(60, "in 60 seconds"), (0.2, "in 1 seconds"), (0, "in 1 seconds")])
def test_the_client_is_told_when_to_come_again(left_s: float, words: str) -> None:
    refusal = greylisted(left_s)
    assert refusal.reason is RefusalReason.GREYLISTED
    assert str(refusal.reply) == f"450 4.7.1 Greylisted, try again {words}"


@pytest.mark.parametrize(
    "one, other, same",
    [
        (("192.0.2.1", SENDER, RECIPIENT), ("192.0.2.254", SENDER, RECIPIENT), True),
        (("192.0.2.1", SENDER, RECIPIENT), ("192.0.3.1", SENDER, RECIPIENT), False),
        (("192.0.2.1", SENDER, RECIPIENT), ("::ffff:192.0.2.9", SENDER, RECIPIENT), True),
        (("2001:db8::1", SENDER, RECIPIENT), ("2001:db8::ffff:1", SENDER, RECIPIENT), True),
        (("2001:db8::1", SENDER, RECIPIENT), ("2001:db8:0:1::1", SENDER, RECIPIENT), False),
        (("192.0.2.1", "X@away.test", '"Bob"@ours.test'), ("192.0.2.1", SENDER, RECIPIENT), True),
        (("192.0.2.1", "a+1b2=c@away.test", RECIPIENT), ("192.0.2.1", "a+3@away.test", RECIPIENT), True),
        (("192.0.2.1", "bounce-17-bob@a.test", RECIPIENT), ("192.0.2.1", "bounce-4-bob@a.test", RECIPIENT), True),
        (("192.0.2.1", "prvs=1a2b3c4d5e=x@a.test", RECIPIENT), ("192.0.2.1", "prvs=f=x@a.test", RECIPIENT), True),
        (("192.0.2.1", "", RECIPIENT), ("192.0.2.1", SENDER, RECIPIENT), False),
        (("192.0.2.1", SENDER, RECIPIENT), ("192.0.2.1", SENDER, "carol@ours.test"), False),
        (("192.0.2.1", SENDER, "bob@ours.test"), ("192.0.2.1", SENDER, "bob+1@ours.test"), False),
    ],
)
def test_what_counts_as_the_same_try(one: tuple[str, str, str], other: tuple[str, str, str], same: bool) -> None:
    assert (keys_of(*one).attempt == keys_of(*other).attempt) is same


def test_an_answer_must_come_from_the_very_address_that_was_written_to() -> None:
    key = keys_of("192.0.2.1", "Jo@away.test", RECIPIENT).contact
    assert key == wrote_key("jo@away.test", "ours.test")
    assert key != wrote_key("jo+1@away.test", "ours.test")
    assert key != wrote_key("jo@away.test", "any.test")


def test_the_null_sender_has_no_domain_but_may_answer_who_sent() -> None:
    keys = keys_of("192.0.2.1", "", RECIPIENT)
    assert keys.clean is None
    assert keys.contact == sent_key(RECIPIENT)
    assert len(keys.all) == 3


@given(st.text(max_size=300), st.text(max_size=300))
def test_keys_are_short_whatever_is_sent(sender: str, recipient: str) -> None:
    keys = keys_of("2001:db8::1", sender, recipient)
    assert all(len(key) < 64 for key in (keys.attempt, keys.network, keys.contact))


def test_a_retry_needs_time_after_the_wait() -> None:
    with pytest.raises(PolicyError, match="greylist"):
        parse_policy("[greylist]\nwait_s = 3600\nretry_within_s = 3600\n")
