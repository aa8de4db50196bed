"""Rules of Rspamd's answers: what they force, what is shown, and that all else is an error."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.engines.rspamd_reply import MAX_SYMBOLS, read_reply
from services.content.spam import Forced, SpamError, SpamReport, Symbol

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def reply(**changed: object) -> bytes:
    whole = {
        "is_skipped": False,
        "score": 7.2,
        "required_score": 15.0,
        "action": "add header",
        "symbols": {
            "MIME_GOOD": {"name": "MIME_GOOD", "score": -0.1, "metric_score": -0.1, "options": ["text/plain"]},
            "BAYES_SPAM": {"score": 5.1, "options": ["100.00%"]},
            "DATE_IN_PAST": {"score": 1.0},
        },
        "messages": {},
    }
    return json.dumps(whole | changed).encode()


def test_symbols_come_by_their_weight() -> None:
    assert read_reply(reply()) == SpamReport(
        "Rspamd",
        7.2,
        (Symbol("BAYES_SPAM", 5.1, "100.00%"), Symbol("DATE_IN_PAST", 1.0), Symbol("MIME_GOOD", -0.1, "text/plain")),
    )


@pytest.mark.parametrize(
    ("told", "score"), [(-0.899999, -0.9), (14.999999999999998, 15.0), (7.254, 7.25), (-0.0001, 0.0), (15, 15.0)]
)
def test_a_score_is_what_was_meant_and_not_what_adding_up_made_of_it(told: float, score: float) -> None:
    report = read_reply(reply(score=told, symbols={"A": {"score": told}}))
    assert (report.score, report.symbols[0].score) == (score, score)


@pytest.mark.parametrize(
    ("changed", "forced"),
    [
        ({"action": "no action"}, None),
        ({"action": "add header"}, None),
        ({"action": "greylist"}, None),
        ({"action": "quarantine"}, None),
        ({"action": "reject", "score": 15.0}, None),
        ({"action": "reject", "score": 22.5}, None),
        # GTUBE: the threshold itself as the score, all other rules skipped.
        ({"action": "reject", "score": 15.0, "is_skipped": True}, Forced.REJECT),
        ({"action": "reject", "score": 2.5}, Forced.REJECT),
        # No threshold for a rejection: only a rule can have asked for it.
        ({"action": "reject", "score": 99, "required_score": None}, Forced.REJECT),
        ({"action": "discard", "score": 99}, Forced.REJECT),
        ({"action": "soft reject"}, Forced.SOFT_REJECT),
        ({"action": "soft reject", "score": 99}, Forced.SOFT_REJECT),
    ],
)
def test_an_action_that_the_score_does_not_explain_is_forced(changed: dict[str, object], forced: Forced | None) -> None:
    assert read_reply(reply(**changed)).forced is forced


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'"x"',
        b'{"error":"task timeout"}',
        b"[" * 100_000,
        b"\xff\xfe",
        reply(score="7"),
        reply(score=True),
        reply(score=None),
        reply(score=float("nan")),
        reply(score=float("inf")),
        reply(score=10**400),
        reply(action=None),
        reply(symbols=[]),
        reply(symbols={"A": 1}),
        reply(symbols={"A": {}}),
        reply(symbols={"A": {"score": "1"}}),
        reply(symbols={"A": {"score": 1, "options": "x"}}),
    ],
)
def test_whatever_is_no_such_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(SpamError):
        read_reply(body)


def test_what_a_message_brought_into_the_options_is_made_plain_and_short() -> None:
    hostile = {"A": {"score": 1, "options": ["\x1b[31m\r\nX: y\u202e", "b" * 5000, *map(str, range(100))]}}
    [symbol] = read_reply(reply(symbols=hostile)).symbols
    assert symbol.text.isascii()
    assert symbol.text.isprintable()
    assert len(symbol.text) <= 120


def test_only_the_weightiest_symbols_are_kept() -> None:
    many = {f"S{number}": {"score": number} for number in range(500)}
    symbols = read_reply(reply(symbols=many)).symbols
    assert (len(symbols), symbols[0].name) == (MAX_SYMBOLS, "S499")


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_answer_does_more_than_be_an_error(body: bytes) -> None:
    with contextlib.suppress(SpamError):
        read_reply(body)


@given(st.dictionaries(st.sampled_from(["score", "action", "symbols", "is_skipped", "required_score"]), JSON))
def test_no_answer_that_is_nearly_right_does_more_than_be_an_error(changed: dict[str, object]) -> None:
    with contextlib.suppress(SpamError):
        report = read_reply(reply(**changed))
        assert abs(report.score) <= 1_000_000
