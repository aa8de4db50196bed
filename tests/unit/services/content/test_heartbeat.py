"""Rules of the heartbeat: sent only while messages can be judged, and never stopped by the broker."""

import asyncio
import contextlib
import json
import time

from services.content.heartbeat import beat_for_ever
from shared.broker.publish import PublishError, PublishFailure
from tests.fakes import FakePublisher, Published


async def beats(publisher: FakePublisher, *, can_judge: bool = True) -> None:
    """Let it run until it has beaten or passed over its first beat."""
    asked = asyncio.Event()

    def judge() -> bool:
        asked.set()
        return can_judge

    task = asyncio.create_task(beat_for_ever(publisher, "content-key", judge))
    async with asyncio.timeout(10):
        await asked.wait()
        if can_judge:
            await publisher.until(lambda: bool(publisher.published))
    # Whatever it does after its beat, it waits now.
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_beat_tells_every_edge_who_judges_and_is_worth_nothing_late() -> None:
    publisher = FakePublisher()
    await beats(publisher)
    (beat,) = publisher.published
    assert (beat.exchange, beat.key, beat.persistent) == ("gatepost.to.heartbeat", "", False)
    body = json.loads(beat.body)
    assert body["key"] == "content-key"
    assert abs(body["at"] - time.time()) < 10


async def test_who_cannot_judge_is_silent() -> None:
    publisher = FakePublisher()
    await beats(publisher, can_judge=False)
    assert not publisher.published


async def test_a_beat_that_nobody_hears_ends_nothing() -> None:
    publisher = FakePublisher()

    def fail(published: Published) -> None:
        raise PublishError(PublishFailure.UNROUTABLE, "no edge listens")

    publisher.on_publish = fail
    await beats(publisher)
