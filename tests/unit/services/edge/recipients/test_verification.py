"""Questions over the broker: an answer is for the question it names, and a silent stage is not waited for again."""

import asyncio

import pytest

from services.edge.decide.recipient import Known
from services.edge.recipients.verification import NoAnswer, Verification
from shared.broker.publish import PublishError, PublishFailure
from shared.broker.topology import Exchange
from shared.wire import WireError
from shared.wire_verify import VERIFY_TYPE, VerifyAnswer, VerifyResult, decode_question, encode_answer
from tests.fakes import FakePublisher
from tests.unit.services.edge.recipients.clock import Clock


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _answer(publisher: FakePublisher, result: VerifyResult, recipient: str | None = None) -> bytes:
    sent = publisher.published[-1]
    question = decode_question(sent.message_type, sent.body)
    return encode_answer(VerifyAnswer(question.id, recipient or question.recipient, result))


@pytest.mark.parametrize(
    "result, known",
    [(VerifyResult.TAKEN, Known.YES), (VerifyResult.REFUSED, Known.NO), (VerifyResult.UNKNOWN, Known.UNSURE)],
)
async def test_the_answer_comes_back(publisher: FakePublisher, result: VerifyResult, known: Known) -> None:
    verification = Verification(publisher, "key")
    asking = asyncio.create_task(verification.ask("bob@ours.test"))
    await publisher.until(lambda: bool(publisher.published))
    sent = publisher.published[0]
    assert (sent.exchange, sent.key, sent.message_type) == (Exchange.VERIFY, "verify", VERIFY_TYPE)
    assert decode_question(sent.message_type, sent.body).reply_key == "key"
    verification.on_answer(_answer(publisher, result))
    assert await asking is known


async def test_an_answer_about_another_recipient_answers_nothing(publisher: FakePublisher) -> None:
    verification = Verification(publisher, "key", deadline_s=0.05)
    asking = asyncio.create_task(verification.ask("bob@ours.test"))
    await publisher.until(lambda: bool(publisher.published))
    verification.on_answer(_answer(publisher, VerifyResult.TAKEN, "eve@ours.test"))
    with pytest.raises(NoAnswer, match="no answer within"):
        await asking


async def test_an_answer_that_comes_twice_or_too_late_is_nothing(publisher: FakePublisher) -> None:
    verification = Verification(publisher, "key")
    asking = asyncio.create_task(verification.ask("bob@ours.test"))
    await publisher.until(lambda: bool(publisher.published))
    answer = _answer(publisher, VerifyResult.TAKEN)
    verification.on_answer(answer)
    verification.on_answer(answer)
    assert await asking is Known.YES
    verification.on_answer(answer)


async def test_a_stage_that_is_silent_is_not_waited_for_again(publisher: FakePublisher, clock: Clock) -> None:
    verification = Verification(publisher, "key", deadline_s=0.01, clock=clock)
    with pytest.raises(NoAnswer, match="no answer within"):
        await verification.ask("bob@ours.test")
    with pytest.raises(NoAnswer, match="of late"):
        await verification.ask("bob@ours.test")
    assert len(publisher.published) == 1
    clock.now += 10
    with pytest.raises(NoAnswer, match="no answer within"):
        await verification.ask("bob@ours.test")
    assert len(publisher.published) == 2


async def test_a_late_answer_shows_that_the_stage_lives(publisher: FakePublisher, clock: Clock) -> None:
    verification = Verification(publisher, "key", deadline_s=0.01, clock=clock)
    with pytest.raises(NoAnswer):
        await verification.ask("bob@ours.test")
    verification.on_answer(_answer(publisher, VerifyResult.TAKEN))
    with pytest.raises(NoAnswer, match="no answer within"):
        await verification.ask("bob@ours.test")


class _Refusing(FakePublisher):
    async def send(self, exchange: str, key: str, body: bytes, *, message_type: str, deadline_s: float) -> None:
        raise PublishError(PublishFailure.UNAVAILABLE, "no connection")


async def test_what_cannot_be_sent_is_not_waited_for() -> None:
    with pytest.raises(NoAnswer, match="no connection"):
        await Verification(_Refusing(), "key").ask("bob@ours.test")


def test_what_is_no_answer_is_refused(publisher: FakePublisher) -> None:
    with pytest.raises(WireError):
        Verification(publisher, "key").on_answer(b"{}")
