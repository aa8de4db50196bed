"""Events that belong to no trace."""

import json

import pytest

from services.console.rows import EventRow
from services.console.seen import Seen
from shared.dmarc_seen import DAY_S
from shared.event import EventKind
from shared.tls_seen import TlsPolicy, TlsResult, TlsSeen, seen_facts


def row(kind: str, facts: object, host: str = "host1") -> EventRow:
    return EventRow("u1", "a1", 3.0 + DAY_S, "delivery", host, kind, json.dumps(facts))


def test_an_event_of_a_trace_is_left_to_it() -> None:
    assert not Seen().take(row(EventKind.RETRY, {}))


def test_a_hop_state_becomes_a_row() -> None:
    seen = Seen()
    facts = {"hop": "smtp://one:25", "state": "shut", "cause": "refused\0", "until": 60}
    assert seen.take(row(EventKind.HOP, facts))
    assert seen.hops == [("smtp://one:25", "host1", "shut", "refused\ufffd", 60.0, 3.0 + DAY_S)]


def test_what_was_seen_of_tls_is_kept_by_day_and_domain() -> None:
    seen = Seen()
    facts = seen_facts(TlsSeen("a.test", TlsPolicy(), TlsResult.SUCCESS))
    assert seen.take(row(EventKind.TLS_SEEN, facts))
    assert [tls[:3] for tls in seen.tls] == [("u1", 1, "a.test")]


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("hop", {}), ("hop", {"hop": "h" * 400, "state": "shut"}), ("hop", {"hop": "h", "state": "odd"}),
        ("hop", {"hop": 7, "state": "shut"}), ("tls-seen", {}), ("dmarc-seen", {"x": 1}),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(kind: str, facts: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Seen().take(row(kind, facts))
