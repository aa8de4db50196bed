"""Rules of the way to the recorder: it never holds up mail, and drops only the oldest, counted."""

from typing import cast

import pytest
from prometheus_client import REGISTRY

from shared.broker import events
from shared.broker.events import EventSender
from shared.broker.publish import Publisher, PublishError, PublishFailure
from shared.event import Event, EventKind, Stage, decode_events
from tests.fakes import FakePublisher, Published
from tests.unit.shared.samples import ID


class Recorder:
    """A broker for events, and what came to it."""

    def __init__(self) -> None:
        self.publisher = FakePublisher()
        self.sender = EventSender(cast("Publisher", self.publisher), Stage.EDGE)

    def tell(self, *numbers: int) -> None:
        for number in numbers:
            self.sender.tell(ID, EventKind.RECEIVED, number=number)

    @property
    def came(self) -> list[Event]:
        return [event for batch in self.publisher.published for event in decode_events(batch.body)]

    @property
    def numbers(self) -> list[object]:
        return [event.facts.get("number") for event in self.came]


def dropped() -> float:
    return REGISTRY.get_sample_value("gatepost_events_dropped_total") or 0.0


async def test_facts_told_together_travel_together_in_their_order() -> None:
    recorder = Recorder()
    recorder.tell(1, 2, 3)
    await recorder.sender.close()
    (batch,) = recorder.publisher.published
    assert (batch.exchange, batch.key, batch.message_type) == ("gatepost.to.events", "events", "gatepost.events.v1")
    assert recorder.numbers == [1, 2, 3]


async def test_each_event_has_a_uid_of_its_own() -> None:
    recorder = Recorder()
    recorder.tell(1, 2)
    await recorder.sender.close()
    one, other = recorder.came
    assert one.uid != other.uid
    assert (one.id, one.stage, one.kind) == (ID, Stage.EDGE, EventKind.RECEIVED)


async def test_many_events_take_several_batches() -> None:
    recorder = Recorder()
    recorder.tell(*range(1200))
    await recorder.sender.close()
    assert len(recorder.publisher.published) == 3
    assert recorder.numbers == list(range(1200))


async def test_beyond_the_bound_the_oldest_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_BOUND", 3)
    recorder, before = Recorder(), dropped()
    recorder.tell(1, 2, 3, 4, 5)
    await recorder.sender.close()
    assert recorder.numbers == [3, 4, 5]
    assert dropped() - before == 2


async def test_a_fact_that_is_no_json_costs_its_own_event_its_facts_and_no_other_anything() -> None:
    recorder = Recorder()
    recorder.tell(1)
    recorder.sender.tell(ID, EventKind.ANSWERED, subject="\ud800")
    recorder.sender.tell(ID, EventKind.ANSWERED, thing=object())
    recorder.tell(2)
    await recorder.sender.close()
    assert recorder.numbers == [1, None, None, 2]


async def test_what_the_broker_did_not_take_is_sent_again_in_its_order() -> None:
    recorder = Recorder()
    recorder.tell(1, 2)

    def refuse(published: Published) -> None:
        recorder.publisher.published.clear()
        raise PublishError(PublishFailure.UNAVAILABLE, "down")

    recorder.publisher.on_publish = refuse
    await recorder.sender.close()
    assert not recorder.came
    recorder.publisher.on_publish = None
    recorder.tell(3)
    await recorder.sender.close()
    assert recorder.numbers == [1, 2, 3]


async def test_what_is_told_while_it_runs_is_sent_without_closing() -> None:
    recorder = Recorder()
    recorder.sender.start()
    recorder.tell(1)
    await recorder.publisher.until(lambda: bool(recorder.publisher.published))
    recorder.tell(2)
    await recorder.sender.close()
    assert recorder.numbers == [1, 2]


async def test_a_batch_that_is_too_long_for_the_broker_goes_in_pieces_in_order() -> None:
    recorder = Recorder()
    for number in range(10):
        recorder.sender.tell(ID, EventKind.JUDGED, number=number, reasons="x" * 1_000_000)
    await recorder.sender.close()
    assert recorder.numbers == list(range(10))
    assert max(len(batch.body) for batch in recorder.publisher.published) < 4_100_000


async def test_one_event_that_is_too_long_loses_its_facts_and_holds_up_no_other() -> None:
    recorder = Recorder()
    recorder.sender.tell(ID, EventKind.JUDGED, number=1, reasons="x" * 20_000_000)
    recorder.tell(2)
    await recorder.sender.close()
    assert recorder.numbers == [None, 2]
