"""From events to rows."""

import json
from typing import Any

import pytest

from services.console.rows import State, Summary, event_rows
from shared.event import EventKind


def fold(*events: dict[str, Any]) -> dict[str, Summary]:
    summaries: dict[str, Summary] = {}
    event_rows(json.dumps(events).encode(), summaries)
    return summaries


def event(kind: str, at: float = 1.0, id_: str = "a1", **facts: Any) -> dict[str, Any]:
    return {"uid": f"u{at}{kind}", "id": id_, "at": at, "stage": "edge", "host": "h", "kind": kind, "facts": facts}


STATES = [
    ("session-refused", {"reply": "554 no"}, State.REFUSED),
    ("command-refused", {"reply": "550 no"}, State.REFUSED),
    ("command-refused", {"reply": "450 later"}, State.DEFERRED),
    ("received", {}, State.RECEIVED),
    ("answered", {"reply": "250 ok"}, State.ACCEPTED),
    ("answered", {"reply": "451 later"}, State.DEFERRED),
    ("answered", {"reply": "550 no"}, State.REFUSED),
    ("queued", {}, State.QUEUED),
    ("split", {"into": []}, State.SPLIT),
    ("retry", {}, State.RETRYING),
    ("delivered", {}, State.DELIVERED),
    ("failed", {}, State.FAILED),
    ("quarantined", {}, State.QUARANTINED),
    ("released", {}, State.RELEASED),
    ("deleted", {}, State.DELETED),
    ("ordered", {"order": "cancel"}, State.CANCELLED),
    ("ordered", {"order": "retry"}, None),
    ("expanded", {}, None),
    ("banned", {"client": "192.0.2.7"}, None),
    ("checked", {}, None),
    ("dropped", {}, None),
    ("attempt", {}, None),
    ("of-a-later-version", {"x": [1]}, None),
]


@pytest.mark.parametrize(("kind", "facts", "state"), STATES)
def test_state(kind: str, facts: dict[str, Any], state: State | None) -> None:
    assert fold(event(kind, **facts))["a1"].state == (state.value if state else None)


def test_every_kind_of_event_is_in_the_table_or_changes_no_state() -> None:
    silent = {"hop", "tls-seen"} | {
        "checked",
        "judged",
        "dmarc-seen",
        "learned",
        "dropped",
        "attempt",
        "dsn-sent",
        "dsn-withheld",
    }
    assert {kind for kind, _, _ in STATES} >= {kind.value for kind in EventKind} - silent


def test_the_latest_state_wins_whatever_came_first() -> None:
    summary = fold(event("delivered", 5.0), event("queued", 3.0), event("received", 1.0))["a1"]
    assert (summary.state, summary.first_seen, summary.last_seen) == ("delivered", 1.0, 5.0)


def test_a_ban_is_found_by_its_address() -> None:
    assert fold(event("banned", client="192.0.2.7"))["a1"].client == "192.0.2.7"


def test_the_worst_verdict_of_the_domains_is_shown() -> None:
    verdicts = {"a.test": {"action": "tag"}, "b.test": {"action": "refuse"}, "c.test": {"action": "accept"}}
    assert fold(event("judged", verdicts=verdicts))["a1"].verdict == "refuse"


def test_parts_and_reports_know_their_parent() -> None:
    found = fold(
        event("split", into=[{"id": "b2", "recipients": ["x@y.test"]}, {"id": 7}, "rubbish"]),
        event("dsn-sent", dsn_id="c3"),
    )
    assert {name: summary.parent for name, summary in found.items()} == {"a1": None, "b2": "a1", "c3": "a1"}
    assert found["b2"].recipients == "x@y.test"


def test_a_part_is_queued_for_its_hop_from_the_start() -> None:
    part = {"id": "b2", "hop": "smtp://one:25", "recipients": ["x@y.test"]}
    child = fold(event("split", into=[part]))["b2"]
    assert (child.state, child.hop, child.waits_for) == ("queued", "smtp://one:25", None)


def test_what_waits_knows_its_hop_and_reason_and_forgets_them_when_it_does_not_wait() -> None:
    wait = event("retry", 2.0, hop="smtp://one:25", not_before=60.0, reason="451 later")
    waiting = fold(event("queued"), wait)["a1"]
    assert (waiting.hop, waiting.not_before, waiting.waits_for) == ("smtp://one:25", 60.0, "451 later")
    done = fold(event("queued"), wait, event("delivered", 3.0, hop="smtp://one:25"))["a1"]
    assert (done.state, done.hop, done.not_before, done.waits_for) == ("delivered", None, None, None)


@pytest.mark.parametrize("not_before", [None, True, "soon", -1, 1e300, [1]])
def test_a_time_that_is_none_is_unknown(not_before: Any) -> None:
    assert fold(event("retry", hop="h", not_before=not_before))["a1"].not_before is None


@pytest.mark.parametrize("kind", ["hop", "tls-seen"])
def test_what_tells_of_no_message_makes_no_row_of_one(kind: str) -> None:
    assert fold(event(kind, hop="smtp://one:25", state="shut")) == {}


def test_a_message_is_never_its_own_parent() -> None:
    assert fold(event("dsn-sent", dsn_id="a1"))["a1"].parent is None


def test_facts_are_carried_as_they_are() -> None:
    rows = event_rows(json.dumps([event("received", subject="Grüße \0", sizes=[1, None, 2.5])]).encode(), {})
    assert json.loads(rows[0].facts) == {"subject": "Grüße \0", "sizes": [1, None, 2.5]}
    assert "\0" not in rows[0].facts


def test_text_that_a_database_would_refuse_is_made_harmless() -> None:
    summary = fold(event("received", sender="a\0b", subject="x" * 5000, size_bytes=-1))["a1"]
    assert (summary.sender, len(summary.subject or ""), summary.size_bytes) == ("a\ufffdb", 1000, None)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[1]", b"[{}]", b"\xff", b"[[]]",
        json.dumps([event("received") | {"at": "now"}]).encode(),
        json.dumps([event("received") | {"facts": [1]}]).encode(),
        json.dumps([event("received") | {"uid": "u" * 41}]).encode(),
        json.dumps([event("received") | {"id": "a\0"}]).encode(),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_refused_whole(body: bytes) -> None:
    summaries: dict[str, Summary] = {}
    with pytest.raises(ValueError, match=r"."):
        event_rows(body, summaries)
    assert summaries == {}
