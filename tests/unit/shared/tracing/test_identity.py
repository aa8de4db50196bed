"""Rules of trace ids: all stages know them, and choose the same mails, by a mail's id alone."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import make_id, new_id
from shared.tracing.identity import is_traced, span_of, trace_of

MOMENTS = st.integers(0, (1 << 48) - 1)
RANDOM = st.integers(0, (1 << 74) - 1)


@given(MOMENTS, RANDOM)
def test_the_trace_of_a_mail_is_its_id(unix_ms: int, random_bits: int) -> None:
    trace = uuid.UUID(int=trace_of(make_id(unix_ms, random_bits)))
    assert (trace.version, trace.int >> 80) == (7, unix_ms)
    assert trace.int & ((1 << 62) - 1) == random_bits & ((1 << 62) - 1)


@given(st.text())
def test_what_is_no_id_has_a_trace_all_the_same(text: str) -> None:
    assert 0 < trace_of(text) < 1 << 128
    assert trace_of(text) == trace_of(text)


def test_spans_of_other_mails_stages_and_visits_differ() -> None:
    ids, stages = [new_id(), new_id()], ["edge", "content", "delivery"]
    spans = {span_of(message_id, stage, visit) for message_id in ids for stage in stages for visit in range(5)}
    assert len(spans) == 30
    assert all(0 < span < 1 << 64 for span in spans)


@given(MOMENTS, RANDOM)
def test_a_ratio_of_0_takes_none_and_of_1_takes_all(unix_ms: int, random_bits: int) -> None:
    trace = trace_of(make_id(unix_ms, random_bits))
    assert not is_traced(trace, 0)
    assert is_traced(trace, 1)


@given(MOMENTS, RANDOM, st.floats(0, 1), st.floats(0, 1))
def test_what_a_lower_ratio_takes_a_higher_one_takes_too(
    unix_ms: int, random_bits: int, one: float, other: float
) -> None:
    trace = trace_of(make_id(unix_ms, random_bits))
    assert is_traced(trace, min(one, other)) <= is_traced(trace, max(one, other))


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.5, 0.9])
def test_of_many_mails_the_wanted_part_is_taken(ratio: float) -> None:
    # Ids of one moment, as of a burst: what differs is random.
    step = (1 << 62) // 10_007
    taken = sum(is_traced(trace_of(make_id(1_700_000_000_000, number * step)), ratio) for number in range(10_007))
    assert taken / 10_007 == pytest.approx(ratio, rel=0.1)
