"""Rules of an antispam score under the thresholds of a domain."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.checks.antispam import antispam_finding
from services.content.finding import Finding, unsure
from services.content.spam import Forced, SpamReport, Symbol
from services.content.weigh.antispam import weigh_antispam
from services.content.weigh.weighed import Weighed
from shared.policy.checks import AntispamRules
from shared.verdict import Action, CheckName, Reason

PARTS = (Symbol("X", 5.1), Symbol("Y", 3.0), Symbol("GOOD", -2.0), Symbol("Z", 1.0), Symbol("W", 0.5))


def found(score: float, forced: Forced | None = None, symbols: tuple[Symbol, ...] = PARTS) -> Finding:
    return antispam_finding(SpamReport("Rspamd", score, symbols, forced), 100)


@pytest.mark.parametrize(
    ("rules", "score", "action", "key", "threshold"),
    [
        ({}, 5.99, Action.ACCEPT, "", 6.0),
        ({}, 6.0, Action.TAG, "tag_at", 6.0),
        ({}, 9.99, Action.TAG, "tag_at", 6.0),
        ({}, 10.0, Action.QUARANTINE, "quarantine_at", 10.0),
        ({}, 15.0, Action.REFUSE, "refuse_at", 15.0),
        ({}, 1000.0, Action.REFUSE, "refuse_at", 15.0),
        ({"refuse_at": "never"}, 1000.0, Action.QUARANTINE, "quarantine_at", 10.0),
        ({"tag_at": "never"}, 6.0, Action.ACCEPT, "", 10.0),
        ({"tag_at": "never", "quarantine_at": "never", "refuse_at": "never"}, 99.0, Action.ACCEPT, "", None),
        ({"tag_at": -1.0}, 0.0, Action.TAG, "tag_at", -1.0),
        ({"tag_at": 5.0, "quarantine_at": 5.0, "refuse_at": 5.0}, 5.0, Action.REFUSE, "refuse_at", 5.0),
    ],
)
def test_the_highest_threshold_that_is_reached_decides(
    rules: dict[str, Any], score: float, action: Action, key: str, threshold: float | None
) -> None:
    [weighed] = weigh_antispam(found(score), AntispamRules.model_validate(rules), "checks")
    reason = weighed.reason
    assert (reason.action, reason.score, reason.threshold) == (action, score, threshold)
    assert reason.rule == (f"checks.antispam.{key}" if key else "")
    assert bool(reason.change) is bool(key)


def test_a_reason_says_what_would_have_changed_it_and_where_the_rule_stands() -> None:
    finding = found(15.5)
    [weighed] = weigh_antispam(finding, AntispamRules(), 'domains."a.test".checks')
    assert weighed == Weighed(
        Reason(
            CheckName.ANTISPAM,
            "scored",
            Action.REFUSE,
            finding.evidence,
            'domains."a.test".checks.antispam.refuse_at',
            "the whole message, 100 octets",
            15.5,
            15.0,
            "a score below 15; the largest parts of it were X (5.1), Y (3), Z (1)",
        )
    )


@pytest.mark.parametrize(
    ("symbols", "change"),
    [
        ((), "a score below 6"),
        ((Symbol("GOOD", -1.0),), "a score below 6"),
        ((Symbol("X", 5.1),), "a score below 6; the largest part of it was X (5.1)"),
    ],
)
def test_the_largest_parts_are_those_that_gave_points(symbols: tuple[Symbol, ...], change: str) -> None:
    [weighed] = weigh_antispam(found(7, symbols=symbols), AntispamRules(), "checks")
    assert weighed.reason.change == change


def test_the_subject_is_tagged_only_where_the_mail_is() -> None:
    rules = AntispamRules(subject_tag="[spam]")
    assert [weigh_antispam(found(score), rules, "checks")[0].subject_tag for score in (1, 7, 12, 20)] == [
        "",
        "[spam]",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("forced", "rules", "first", "key"),
    [
        (Forced.REJECT, {}, Action.REFUSE, "rejected"),
        (Forced.REJECT, {"rejected": "quarantine"}, Action.QUARANTINE, "rejected"),
        (Forced.SOFT_REJECT, {}, Action.DEFER, "soft_rejected"),
        (Forced.SOFT_REJECT, {"soft_rejected": "tag"}, Action.TAG, "soft_rejected"),
    ],
)
def test_what_the_engine_insists_on_is_a_reason_of_its_own(
    forced: Forced, rules: dict[str, Any], first: Action, key: str
) -> None:
    weighed = weigh_antispam(found(2.0, forced), AntispamRules.model_validate(rules), "checks")
    reason = weighed[0].reason
    assert (reason.action, reason.rule, reason.score, reason.threshold) == (first, f"checks.antispam.{key}", 2.0, None)
    assert reason.change == "a message on which Rspamd does not insist; what matched: X, Y, GOOD"
    assert [other.reason.action for other in weighed[1:]] == [Action.ACCEPT]


def test_an_ignored_insistence_leaves_the_score_to_decide() -> None:
    rules = AntispamRules(rejected=Action.ACCEPT)
    ignored, scored = weigh_antispam(found(12.0, Forced.REJECT), rules, "checks")
    assert (scored.reason.action, scored.reason.rule) == (Action.QUARANTINE, "checks.antispam.quarantine_at")
    # It still stands there, with the rule that let it pass.
    assert (ignored.reason.action, ignored.reason.rule) == (Action.ACCEPT, "checks.antispam.rejected")
    assert not ignored.reason.change


def test_an_engine_that_puts_off_does_not_hide_a_score_that_refuses() -> None:
    weighed = weigh_antispam(found(20.0, Forced.SOFT_REJECT), AntispamRules(), "checks")
    assert [one.reason.action for one in weighed] == [Action.DEFER, Action.REFUSE]


def test_no_answer_defers_and_no_engine_accepts() -> None:
    [away] = weigh_antispam(unsure(CheckName.ANTISPAM, "error", "It is away."), AntispamRules(), "checks")
    assert (away.reason.action, bool(away.reason.change)) == (Action.DEFER, True)
    [none] = weigh_antispam(Finding(CheckName.ANTISPAM, "none", "There is none."), AntispamRules(), "checks")
    assert none.reason.action is Action.ACCEPT


_ORDER = (Action.ACCEPT, Action.TAG, Action.QUARANTINE, Action.REFUSE)
thresholds = st.lists(st.floats(-100, 1000), min_size=3, max_size=3).map(sorted)


@given(thresholds, st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_a_higher_score_never_comes_to_a_milder_action(values: list[float], score: float, more: float) -> None:
    rules = AntispamRules(tag_at=values[0], quarantine_at=values[1], refuse_at=values[2])
    low, high = (weigh_antispam(found(one), rules, "checks")[0].reason for one in (score, score + more))
    assert _ORDER.index(low.action) <= _ORDER.index(high.action)
    for reason in (low, high):
        assert reason.threshold is not None
        assert reason.score is not None
        assert (reason.action is Action.ACCEPT) == (reason.score < reason.threshold)
