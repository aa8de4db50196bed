"""Rules of events: a batch is a JSON array that recorders of any later version read."""

from pathlib import Path

import pytest

from shared.event import Event, EventKind, Stage, decode_events, encode_events
from tests.unit.shared.samples import ID

GOLDEN = Path(__file__).parent / "golden" / "events-v1.json"
EVENTS = [
    Event(ID, "01m85rrw9tejgajt89hfcgzyx3", 1_795_000_000.5, Stage.EDGE, "edge-1", EventKind.RECEIVED,
          {"client": "192.0.2.1", "recipients": ["dømi@gatepost.test"], "size_bytes": 12, "tls": None}),
    Event(ID, ID, 1_795_000_001.0, Stage.CONTENT, "content-1", EventKind.QUARANTINED),
]  # fmt: skip


def test_the_golden_batch_is_read_for_ever() -> None:
    assert decode_events(GOLDEN.read_bytes()) == EVENTS


def test_the_golden_batch_is_what_is_written() -> None:
    assert encode_events(EVENTS) == GOLDEN.read_bytes().rstrip(b"\n")


def test_a_key_of_a_later_version_is_ignored() -> None:
    text = GOLDEN.read_bytes().replace(b'"stage":', b'"later":{"x":1},"stage":')
    assert decode_events(text) == EVENTS


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b'[{"uid":"x"}]', b"[" * 5000])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        decode_events(body)


def test_a_fact_that_cannot_be_json_is_refused_not_mangled() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode_events([Event(ID, ID, 0, Stage.EDGE, "h", EventKind.RECEIVED, {"subject": "\ud800"})])
