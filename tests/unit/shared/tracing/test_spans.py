"""Rules of spans: children stand below the work at hand, a visit is told whole and once, and off means nothing."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from shared import tracing
from shared.ids import new_id
from shared.tracing.identity import span_of, trace_of
from shared.tracing.spans import UNTRACED, Span, collect


class Told:
    """Keeps what is put into it."""

    def __init__(self) -> None:
        self.families: list[list[Span]] = []

    def put(self, family: list[Span]) -> None:
        self.families.append(family)

    def only(self) -> dict[str, Span]:
        (family,) = self.families
        return {span.name: span for span in family}


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    collect(told, 1.0)
    yield told
    collect(None)


def test_while_traces_are_off_nothing_is_made() -> None:
    with tracing.mail("edge", new_id()) as work, tracing.span("part") as part:
        assert work is part is tracing.at_hand() is UNTRACED
        work.note(a=1)
        work.past("before", 0.0)
        work.drop()


def test_a_mail_outside_the_ratio_is_not_traced_nor_is_any_part_of_it() -> None:
    told = Told()
    collect(told, 0.0)
    try:
        with tracing.mail("edge", new_id()) as work, tracing.span("part") as part:
            assert work is part is UNTRACED
    finally:
        collect(None)
    assert told.families == []


def test_outside_of_any_mail_there_is_nothing_to_trace(told: Told) -> None:
    with tracing.span("part") as part:
        assert part is UNTRACED
    assert tracing.at_hand() is UNTRACED
    assert told.families == []


def test_children_stand_below_the_work_at_hand_and_all_in_the_trace_of_the_mail(told: Told) -> None:
    message_id = new_id()
    with tracing.mail("edge", message_id), tracing.span("outer"):
        with tracing.span("inner"):
            pass
        with tracing.span("after"):
            pass
    spans = told.only()
    assert {span.trace_id for span in spans.values()} == {trace_of(message_id)}
    assert spans["edge"].parent is None
    assert spans["outer"].parent == spans["edge"].span_id == span_of(message_id, "edge")
    assert spans["inner"].parent == spans["after"].parent == spans["outer"].span_id


async def test_tasks_begin_below_the_work_that_began_them(told: Told) -> None:
    async def part(name: str) -> None:
        with tracing.span(name):
            await asyncio.sleep(0)

    with tracing.mail("content", new_id()):
        async with asyncio.TaskGroup() as group:
            for name in ("one", "two"):
                group.create_task(part(name))
    spans = told.only()
    assert spans["one"].parent == spans["two"].parent == spans["content"].span_id


@pytest.mark.parametrize("stage", ["content", "delivery"])
def test_later_stages_stand_below_the_edge_without_a_word_from_it(told: Told, stage: str) -> None:
    message_id = new_id()
    with tracing.mail(stage, message_id):
        pass
    span = told.only()[stage]
    assert (span.trace_id, span.parent) == (trace_of(message_id), span_of(message_id, "edge"))


def test_a_part_of_a_mail_is_in_the_trace_of_the_whole_with_a_span_of_its_own(told: Told) -> None:
    whole, parts = new_id(), [new_id(), new_id()]
    for part in parts:
        with tracing.mail("delivery", part, whole=whole):
            pass
    one, other = (family[0] for family in told.families)
    assert one.trace_id == other.trace_id == trace_of(whole)
    assert one.parent == other.parent == span_of(whole, "edge")
    assert one.span_id != other.span_id
    assert [one.facts["id"], other.facts["id"]] == parts


def test_a_retry_is_linked_to_the_visit_before(told: Told) -> None:
    message_id = new_id()
    for visit in range(3):
        with tracing.mail("delivery", message_id, visit=visit, goes_on=visit > 0):
            pass
    first, second, third = (family[0] for family in told.families)
    assert (first.link, second.link, third.link) == (None, first.span_id, second.span_id)
    assert first.parent == second.parent == third.parent


def test_what_was_put_off_by_an_earlier_stage_alone_is_no_retry_of_this_one(told: Told) -> None:
    with tracing.mail("delivery", new_id(), visit=2, goes_on=False):
        pass
    assert told.only()["delivery"].link is None


def test_a_visit_whose_number_is_not_known_has_an_id_of_its_own(told: Told) -> None:
    message_id = new_id()
    for visit in (0, None, None):
        with tracing.mail("content", message_id, visit=visit):
            pass
    assert len({family[0].span_id for family in told.families}) == 3


def test_an_error_is_named_and_its_words_are_not_told(told: Told) -> None:
    with pytest.raises(ValueError), tracing.mail("edge", new_id()), tracing.span("part"):
        raise ValueError("alice@sender.test is unknown")
    spans = told.only()
    assert (spans["edge"].failed, spans["part"].failed) == ("ValueError", "ValueError")


def test_what_is_dropped_is_not_told_with_all_below_it(told: Told) -> None:
    with tracing.mail("delivery", new_id()) as work:
        with tracing.span("attempt"):
            pass
        work.drop()
    assert told.families == []


def test_what_began_before_has_the_time_at_which_it_did(told: Told) -> None:
    began_at = time.time() - 5
    with tracing.mail("edge", new_id(), began_at=began_at) as work:
        work.past("receive", began_at, size=3)
    spans = told.only()
    assert spans["edge"].began_ns == spans["receive"].began_ns == int(began_at * 1e9)
    assert spans["edge"].ended_ns >= spans["receive"].ended_ns >= spans["receive"].began_ns + 5_000_000_000
    assert spans["receive"].facts == {"size": 3}


def test_after_a_mail_the_task_is_free_for_the_next(told: Told) -> None:
    for _ in range(2):
        with tracing.mail("edge", new_id()):
            pass
        assert tracing.at_hand() is UNTRACED
    assert len(told.families) == 2


_OURS = ("opentelemetry.exporter", "opentelemetry.sdk.trace", "shared.tracing.export")
_SERVICES = "import services.edge.app, services.content.app, services.delivery.app\n"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_without_traces_a_service_imports_nothing_that_they_need() -> None:
    # The client of Redis takes OpenTelemetry's metrics where it finds them.
    assert run(f"{_SERVICES}import sys\nprint([name for name in sys.modules if name.startswith({_OURS})])") == "[]"


def test_a_service_runs_where_nothing_of_opentelemetry_is_installed() -> None:
    assert run(f"import sys\nsys.modules['opentelemetry'] = None\n{_SERVICES}print('well')") == "well"
