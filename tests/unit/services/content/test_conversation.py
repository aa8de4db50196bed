"""Rules of content's half of the verdict's way."""

import asyncio

import pytest

from services.content.conversation import ASKS, ASSUMED, STILL_WAITING, Conversation
from shared.broker.publish import PublishError, PublishFailure
from shared.wire import Judgement, Said, WireError, decode_judgement, encode_said

ID = "01m85rrw9tejgajt89hfcgzyx2"
JUDGEMENT = Judgement(ID, "content-key", "token-1")


class Edge:
    """Edge as seen through the broker: answers each judgement by a script of Said, silence or errors."""

    def __init__(self, *script: Said | PublishError | None) -> None:
        self.script = list(script)
        self.asked: list[Judgement] = []
        self.conversation = Conversation(self, "content-key", silence_s=0.02, gone_after_s=0.02)

    async def publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        *,
        message_type: str = "",
        content_type: str = "",
        persistent: bool = True,
        deadline_s: float = 1,
    ) -> None:
        assert (exchange, key, persistent) == ("gatepost.to.verdict", "edge-key", False)
        self.asked.append(decode_judgement(body))
        step = self.script.pop(0) if self.script else None
        if isinstance(step, PublishError):
            raise step
        if step is not None:
            self.conversation.on_said(encode_said(step))


@pytest.mark.parametrize("code", [250, 451, 550, STILL_WAITING])
async def test_what_edge_says_is_returned(code: int) -> None:
    edge = Edge(Said(ID, "token-1", code))
    assert await edge.conversation.ask(JUDGEMENT, "edge-key") == code
    assert len(edge.asked) == 1


async def test_silence_after_three_asks_counts_as_250() -> None:
    edge = Edge()
    assert await edge.conversation.ask(JUDGEMENT, "edge-key") == ASSUMED
    assert len(edge.asked) == ASKS


async def test_a_late_answer_to_an_earlier_ask_counts() -> None:
    edge = Edge(None, Said(ID, "token-1", 550))
    assert await edge.conversation.ask(JUDGEMENT, "edge-key") == 550


async def test_an_edge_that_stays_away_counts_as_250() -> None:
    edge = Edge(*[PublishError(PublishFailure.UNROUTABLE, "nobody")] * 2)
    assert await edge.conversation.ask(JUDGEMENT, "edge-key") == ASSUMED
    assert len(edge.asked) == 2


async def test_an_edge_that_lost_its_connection_is_asked_when_it_is_back() -> None:
    edge = Edge(PublishError(PublishFailure.UNROUTABLE, "nobody"), Said(ID, "token-1", 451))
    assert await edge.conversation.ask(JUDGEMENT, "edge-key") == 451


async def test_a_later_message_does_not_wait_for_an_edge_that_is_gone() -> None:
    edge = Edge(*[PublishError(PublishFailure.UNROUTABLE, "nobody")] * 3)
    await edge.conversation.ask(JUDGEMENT, "edge-key")
    later = Judgement("01m85rrw9tejgajt89hfcgzyx9", "content-key", "token-2")
    assert await edge.conversation.ask(later, "edge-key") == ASSUMED
    assert len(edge.asked) == 3


async def test_a_broker_that_fails_is_an_error_for_the_message_comes_again() -> None:
    edge = Edge(PublishError(PublishFailure.UNAVAILABLE, "down"))
    with pytest.raises(PublishError):
        await edge.conversation.ask(JUDGEMENT, "edge-key")


@pytest.mark.parametrize(
    "said",
    [
        Said(ID, "wrong", 550),
        Said(ID, "", 550),
        Said(ID, "tökén", 550),
        Said("01m85rrw9tejgajt89hfcgzyx3", "token-1", 550),
    ],
)
async def test_who_does_not_know_the_token_is_not_heard(said: Said) -> None:
    edge = Edge(said, said, said)
    assert await edge.conversation.ask(JUDGEMENT, "edge-key") == ASSUMED


async def test_a_second_answer_changes_nothing() -> None:
    edge = Edge(Said(ID, "token-1", 250))
    assert await edge.conversation.ask(JUDGEMENT, "edge-key") == 250
    edge.conversation.on_said(encode_said(Said(ID, "token-1", 550)))


async def test_garbage_is_refused_by_name() -> None:
    with pytest.raises(WireError, match="said message"):
        Edge().conversation.on_said(b"{}")


async def test_conversations_of_two_messages_do_not_mix() -> None:
    other = Judgement("01m85rrw9tejgajt89hfcgzyx9", "content-key", "token-2")
    edge = Edge(None, None)
    first = asyncio.create_task(edge.conversation.ask(JUDGEMENT, "edge-key"))
    second = asyncio.create_task(edge.conversation.ask(other, "edge-key"))
    await asyncio.sleep(0)
    edge.conversation.on_said(encode_said(Said(other.id, "token-2", 550)))
    edge.conversation.on_said(encode_said(Said(ID, "token-1", 451)))
    assert (await first, await second) == (451, 550)
