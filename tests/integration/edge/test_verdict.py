"""The verdict while the session is open (DESIGN §4), without a broker between."""

import asyncio

import pytest

from services.edge.verdicts import NO_CONTENT, SHUTDOWN, TOO_LATE
from shared.broker.publish import PublishError, PublishFailure
from shared.event import EventKind
from shared.reply import Reply
from shared.verdict import Action
from tests.integration.edge.gate import Client, Gate, id_in, policy

REFUSED = Reply(550, "5.7.1", "Message refused: malware found")
DEFERRED = Reply(451, "4.7.1", "Message cannot be examined now, try again later")
ACCEPTED = Reply(250, "2.0.0", "queued as something")


async def send(client: Client) -> None:
    """Send a message and do not wait for its answer."""
    await client.begin()
    assert (await client.say("DATA")).startswith("354")
    await client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")


def verdict_of(edge: Gate) -> object:
    return next(facts["verdict"] for _, kind, facts in edge.events.told if kind is EventKind.ANSWERED)


@pytest.mark.parametrize(
    "reply, action",
    [(ACCEPTED, Action.ACCEPT), (ACCEPTED, Action.QUARANTINE), (REFUSED, Action.REFUSE), (DEFERRED, Action.DEFER)],
)
async def test_the_client_hears_the_verdict_and_content_what_was_said(edge: Gate, reply: Reply, action: Action) -> None:
    edge.judge_all(reply, action)
    async with edge.client() as client:
        assert await client.mail(b"x\r\n") == str(reply)
    await edge.publisher.until(lambda: len(edge.publisher.said) == 1)
    key, said = edge.publisher.said[0]
    assert (key, said.code, said.token) == ("c1", reply.code, edge.publisher.mails[0].reply_to.token)
    assert verdict_of(edge) == action.value


async def test_without_a_living_content_process_nobody_waits(edge: Gate) -> None:
    async with edge.client() as client:
        assert (await client.mail(b"x\r\n")).startswith("250 2.0.0 queued as ")
    assert verdict_of(edge) == NO_CONTENT


async def test_a_wrong_token_decides_nothing(edge: Gate) -> None:
    edge.content_lives()
    async with edge.client() as client:
        await send(client)
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
        mail = edge.publisher.mails[0]
        mail_with_wrong_token = type(mail)(
            mail.exchange,
            mail.key,
            mail.body,
            {**mail.headers, "token": "0" * 32},
            mail.message_type,
            mail.message_id,
            True,
        )
        edge.judge(mail_with_wrong_token, REFUSED, Action.REFUSE)
        edge.judge(mail, ACCEPTED)
        assert (await client.reply()).startswith("250")
    assert [said.code for _, said in edge.publisher.said] == [250]


async def test_a_late_verdict_learns_that_250_was_said(edge: Gate) -> None:
    edge.policy.policy = policy("[verdict]\ndeadline_s = 0.05\n")
    edge.content_lives()
    async with edge.client() as client:
        await send(client)
        assert (await client.reply()).startswith("250 2.0.0 queued as ")
    edge.judge(edge.publisher.mails[0], REFUSED, Action.REFUSE)
    await edge.publisher.until(lambda: [said.code for _, said in edge.publisher.said] == [250])
    assert verdict_of(edge) == TOO_LATE


async def test_a_question_while_it_waits_is_answered_0(edge: Gate) -> None:
    edge.content_lives()
    async with edge.client() as client:
        await send(client)
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
        edge.judge(edge.publisher.mails[0], None)
        await edge.publisher.until(lambda: [said.code for _, said in edge.publisher.said] == [0])
        edge.judge(edge.publisher.mails[0], REFUSED, Action.REFUSE)
        assert (await client.reply()).startswith("550")
        edge.judge(edge.publisher.mails[0], None, said_key="c2")
    await edge.publisher.until(
        lambda: [(key, said.code) for key, said in edge.publisher.said] == [("c1", 0), ("c1", 550), ("c2", 550)]
    )


@pytest.mark.parametrize("kind", list(PublishFailure))
async def test_a_failed_publish_is_never_250_and_is_remembered(edge: Gate, kind: PublishFailure) -> None:
    edge.content_lives()
    edge.publisher.error = PublishError(kind, "test")
    async with edge.client() as client:
        reply = await client.mail(b"x\r\n")
    assert reply.startswith("452 4.3.1" if kind is PublishFailure.REFUSED else "451 4.3.0")
    assert id_in(reply) == edge.publisher.mails[0].message_id
    edge.judge(edge.publisher.mails[0], ACCEPTED)
    await edge.publisher.until(lambda: [said.code for _, said in edge.publisher.said] == [int(reply[:3])])


async def test_a_verdict_before_the_confirm_does_not_make_250_of_a_failed_publish(edge: Gate) -> None:
    edge.content_lives()
    edge.publisher.gate = asyncio.Event()
    edge.publisher.error = PublishError(PublishFailure.UNKNOWN, "no confirm")
    async with edge.client() as client:
        await send(client)
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
        edge.judge(edge.publisher.mails[0], ACCEPTED)
        assert edge.publisher.said == []
        edge.publisher.gate.set()
        assert (await client.reply()).startswith("451 4.3.0")
    await edge.publisher.until(lambda: [said.code for _, said in edge.publisher.said] == [451])


async def test_a_verdict_before_the_confirm_counts_after_it(edge: Gate) -> None:
    edge.content_lives()
    edge.publisher.gate = asyncio.Event()
    async with edge.client() as client:
        await send(client)
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
        edge.judge(edge.publisher.mails[0], REFUSED, Action.REFUSE)
        edge.publisher.gate.set()
        assert (await client.reply()).startswith("550 5.7.1")


async def test_a_client_that_goes_while_it_waits_changes_nothing(edge: Gate) -> None:
    edge.content_lives()
    async with edge.client() as client:
        await send(client)
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
    edge.judge(edge.publisher.mails[0], REFUSED, Action.REFUSE)
    await edge.publisher.until(lambda: [said.code for _, said in edge.publisher.said] == [550])


async def test_a_half_closed_client_gets_its_answer(edge: Gate) -> None:
    edge.content_lives()
    async with edge.client() as client:
        await send(client)
        client.writer.write_eof()
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
        edge.judge(edge.publisher.mails[0], REFUSED, Action.REFUSE)
        assert (await client.reply()).startswith("550 5.7.1")


async def test_when_content_dies_those_who_wait_are_told_250(edge: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.content_lives()
    async with edge.client() as client:
        await send(client)
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
        edge.heartbeats.heard(b'{"key": "content-1"}', float("-inf"))
        assert (await client.reply()).startswith("250 2.0.0 queued as ")
    assert verdict_of(edge) == NO_CONTENT


async def test_at_shutdown_those_who_wait_are_told_250_and_the_rest_421(edge: Gate) -> None:
    edge.content_lives()
    async with edge.client() as waiting, edge.client() as idle:
        await send(waiting)
        await idle.hello()
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
        edge.listeners.close()
        edge.verdicts.stop_waiting()
        drained = asyncio.create_task(edge.sessions.drain(10))
        assert (await waiting.reply()).startswith("250 2.0.0 queued as ")
        assert (await waiting.reply()).startswith("421 4.3.2")
        assert (await idle.reply()).startswith("421 4.3.2")
        assert await drained
    assert verdict_of(edge) == SHUTDOWN


async def test_what_is_being_received_at_shutdown_is_finished(edge: Gate) -> None:
    async with edge.client() as client:
        await client.begin()
        await client.say("DATA")
        await client.send(b"Subject: x\r\n")
        drained = asyncio.create_task(edge.sessions.drain(10))
        await client.send(b"\r\nx\r\n.\r\n")
        assert (await client.reply()).startswith("250 2.0.0 queued as ")
        assert (await client.reply()).startswith("421 4.3.2")
        assert await drained


async def test_an_exception_is_451_and_shows_nothing(edge: Gate) -> None:
    def burst(_: object) -> None:
        raise RuntimeError("secret\r\n250 injected")

    edge.publisher.on_publish = burst
    async with edge.client() as client:
        reply = await client.mail(b"x\r\n")
        assert reply == "451 4.3.0 Local error in processing, try again later"
        assert (await client.say("NOOP")).startswith("250")
    edge.publisher.on_publish = None
    edge.judge(edge.publisher.mails[0], ACCEPTED)
    await edge.publisher.until(lambda: [said.code for _, said in edge.publisher.said] == [451])
