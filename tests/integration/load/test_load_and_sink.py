"""The instruments themselves: the load client straight against the sink."""

from collections.abc import AsyncIterator

import pytest

from tests.load.client import Load, Result
from tests.load.mail import Kind, Mailbag, SigningKey
from tests.load.sink import Sink


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink().listening() as listening:
        yield listening


def _load(sink: Sink, per_connection: int = 3) -> Load:
    kinds = (Kind.PLAIN, Kind.SIGNED, Kind.MALWARE)
    bag = Mailbag("user@sink.test", 400, SigningKey.new())
    return Load(sink.port, [bag], kinds, sessions=4, per_connection=per_connection)


@pytest.mark.parametrize("per_connection", [1, 7])
async def test_every_250_is_an_arrival_of_that_message_id(sink: Sink, per_connection: int) -> None:
    load = _load(sink, per_connection)
    await load.run(30)
    assert {outcome.message_id for outcome in load.with_result(Result.ACCEPTED)} == set(sink.arrivals)
    assert (len(load.outcomes), sink.messages, sink.duplicates) == (30, 30, 0)
    assert {outcome.kind for outcome in load.outcomes} == set(Kind)


@pytest.mark.parametrize(("reply", "result"), [("451 4.3.0", Result.DEFERRED), ("550 5.7.1", Result.REFUSED)])
async def test_an_error_reply_is_noted_and_the_load_goes_on(sink: Sink, reply: str, result: Result) -> None:
    sink.data_reply = f"{reply} on demand\r\n".encode()
    load = _load(sink)
    await load.run(10)
    sink.data_reply, sink.rcpt_reply = b"", f"{reply} on demand\r\n".encode()
    await load.run(10)
    assert [outcome.result for outcome in load.outcomes] == [result] * 20
    assert not sink.arrivals


async def test_a_lost_connection_leaves_its_message_in_doubt_and_the_load_goes_on() -> None:
    sink = Sink()
    sink.delay_s = 3600
    async with sink.listening() as first:
        load = _load(first)
        async with load.running():
            await load.until(lambda: load.at_gate == 0 and first.open_transactions == load.sessions)
            first.cut_off()
            await load.more(load.sessions, Result.DOUBTFUL)
            first.delay_s = 0
            first.cut_off()
            await load.more(5)
    assert load.count(Result.DOUBTFUL) >= load.sessions


async def test_a_shut_gate_holds_texts_back(sink: Sink) -> None:
    load = _load(sink)
    load.gate.clear()
    async with load.running():
        await load.until(lambda: load.at_gate == load.sessions)
        assert not sink.arrivals
        load.gate.set()
        await load.more(4)
