"""What one session may do, and how it ends when it does more: counts, delays, pace, drop and tarpit."""

import asyncio
import time

import pytest

from shared.event import EventKind
from tests.integration.edge.gate import Client, Gate, limited

QUICK = {"errors_before_delay": 1000}


def reasons(edge: Gate) -> list[object]:
    return [facts["reason"] for _, kind, facts in edge.events.told if kind is EventKind.SESSION_REFUSED]


async def test_unknown_commands_have_a_limit_of_their_own(edge: Gate) -> None:
    limited(edge, unknown_commands=2, errors=10)
    async with edge.client() as client:
        await client.hello()
        assert (await client.say("WHAT")).startswith("500 5.5.2")
        assert (await client.say("RCPT")).startswith("503")
        assert (await client.say("WHAT")).startswith("500 5.5.2")
        assert (await client.reply()).startswith("421 4.7.0 Too many unknown commands")
        assert await client.is_closed()
    assert reasons(edge) == ["too-many-unknown-commands"]


async def test_a_web_browser_is_sent_away_before_its_form_is_mail(edge: Gate) -> None:
    form = "POST / HTTP/1.1\r\nHost: mx\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"
    form += "EHLO x\r\nMAIL FROM:<evil@away.test>\r\nRCPT TO:<bob@ours.test>\r\nDATA\r\nx\r\n.\r\n"
    async with edge.client() as client:
        await client.send(form)
        answer = (await client.reader.read()).decode()
    assert "250" not in answer
    assert edge.publisher.mails == []


async def test_refused_recipients_have_a_limit_and_are_no_errors(edge: Gate) -> None:
    limited(edge, refused_recipients=3, errors=2, **QUICK)
    async with edge.client() as client:
        await client.begin()
        for number in range(3):
            assert (await client.say(f"RCPT TO:<nobody{number}@ours.test>")).startswith("550 5.1.1")
        assert (await client.reply()).startswith("421 4.7.0 Too many refused recipients")
        assert await client.is_closed()
    assert reasons(edge) == ["too-many-refused-recipients"]


async def test_a_message_does_not_pay_for_trying_recipients(edge: Gate) -> None:
    limited(edge, refused_recipients=2, **QUICK)
    async with edge.client() as client:
        await client.begin()
        await client.say("RCPT TO:<nobody@ours.test>")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
        await client.say("MAIL FROM:<x@away.test>")
        await client.say("RCPT TO:<nobody@ours.test>")
        assert (await client.reply()).startswith("421 4.7.0")


async def test_a_message_pays_for_errors(edge: Gate) -> None:
    limited(edge, errors=2, **QUICK)
    async with edge.client() as client:
        await client.hello()
        await client.say("RCPT")
        for _ in range(2):
            await client.say("MAIL FROM:<x@away.test>")
            await client.say("RCPT TO:<bob@ours.test>")
            await client.say("DATA")
            await client.send("x\r\n.\r\n")
            assert (await client.reply()).startswith("250")
            assert (await client.say("RCPT")).startswith("503")


async def test_a_session_brings_so_many_messages(edge: Gate) -> None:
    limited(edge, messages=1)
    async with edge.client() as client:
        assert (await client.mail(b"x\r\n")).startswith("250")
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("421 4.7.0 Too many messages")
        assert await client.is_closed()
    assert reasons(edge) == ["too-many-messages"]
    assert len(edge.publisher.mails) == 1


async def test_errors_are_answered_late_from_the_nth_on(edge: Gate) -> None:
    limited(edge, errors_before_delay=2, error_delay_s=0.5)
    async with edge.client() as client:
        await client.hello()
        took = []
        for _ in range(3):
            started = time.monotonic()
            assert (await client.say("RCPT")).startswith("503")
            took.append(time.monotonic() - started)
        assert max(took[:2]) < 0.4 < took[2]
        # What is no error is answered at once.
        started = time.monotonic()
        assert (await client.say("NOOP")).startswith("250")
        assert time.monotonic() - started < 0.4


async def test_the_delay_is_not_shortened_by_sending_more(edge: Gate) -> None:
    limited(edge, errors_before_delay=0, error_delay_s=0.5)
    async with edge.client() as client:
        await client.hello()
        started = time.monotonic()
        await client.send("RCPT\r\nNOOP\r\n")
        await client.send("NOOP\r\n")
        assert (await client.reply()).startswith("503")
        assert time.monotonic() - started >= 0.5
        assert [(await client.reply())[:3] for _ in range(2)] == ["250", "250"]


async def test_the_delay_holds_up_neither_the_end_of_the_session_nor_a_drain(edge: Gate) -> None:
    limited(edge, errors_before_delay=0, error_delay_s=30, session_timeout_s=0.5)
    async with edge.client() as client:
        await client.hello()
        await client.send("RCPT\r\n")
        assert (await client.reply()).startswith("421 4.4.2")
    limited(edge, errors_before_delay=0, error_delay_s=30)
    async with edge.client() as client:
        await client.hello()
        await client.send("RCPT\r\n")
        await until_idle(edge)
        async with asyncio.timeout(5):
            assert await edge.sessions.drain(3)
        assert (await client.reply()).startswith("421 4.3.2")


async def test_the_delay_ends_when_the_client_goes(edge: Gate) -> None:
    limited(edge, errors_before_delay=0, error_delay_s=30)
    async with edge.client() as client:
        await client.hello()
        await client.send("RCPT\r\n")
        await until_idle(edge)
        client.writer.transport.abort()
    await until_none(edge)


async def test_a_message_that_drips_is_too_slow(edge: Gate) -> None:
    limited(edge, data_timeout_s=0.5, min_data_bytes_per_s=10_000)
    for listener, line in (("mx", "DATA"), ("chunked", "BDAT 100000")):
        async with edge.client(listener) as client:
            await client.begin()
            await client.send(line + "\r\n")
            dripping = asyncio.create_task(drip(client))
            reply = await client.reply()
            if reply.startswith("354"):
                reply = await client.reply()
            assert reply.startswith("421 4.4.2 The message comes too slowly")
            dripping.cancel()
    assert reasons(edge) == ["too-slow", "too-slow"]
    assert edge.publisher.mails == []


async def drip(client: Client) -> None:
    while True:
        await client.send(b"x")
        await asyncio.sleep(0.05)


async def test_a_message_that_keeps_its_pace_may_take_longer_than_the_grace(edge: Gate) -> None:
    limited(edge, data_timeout_s=0.4, min_data_bytes_per_s=1000)
    async with edge.client() as client:
        await client.begin()
        await client.say("DATA")
        for _ in range(25):
            await client.send(b"x" * 98 + b"\r\n")
            await asyncio.sleep(0.05)
        await client.send(b".\r\n")
        assert (await client.reply()).startswith("250")


async def test_without_a_least_rate_a_message_may_drip(edge: Gate) -> None:
    limited(edge, data_timeout_s=0.5, min_data_bytes_per_s=0)
    async with edge.client() as client:
        await client.begin()
        await client.say("DATA")
        for _ in range(20):
            await client.send(b"x")
            await asyncio.sleep(0.05)
        await client.send(b"\r\n.\r\n")
        assert (await client.reply()).startswith("250")


async def test_long_lines_are_refused_where_the_policy_says_so(edge: Gate) -> None:
    lines = b"x" * 998 + b"\r\n", b"x" * 999 + b"\r\n"
    for rule, expected in (("accept", ("250", "250")), ("refuse", ("250", "554 5.6.0"))):
        limited(edge, long_lines=rule)
        for line, answer in zip(lines, expected, strict=True):
            async with edge.client() as client:
                assert (await client.mail(line)).startswith(answer)
            async with edge.client("chunked") as client:
                await client.begin()
                await client.send(b"BDAT %d LAST\r\n" % len(line) + line)
                assert (await client.reply()).startswith(answer)


@pytest.mark.parametrize("listener", ["mx", "submissions"])
async def test_a_dropped_client_hears_nothing(edge: Gate, listener: str) -> None:
    limited(edge, '[[access]]\nnetworks = ["127.0.0.0/8"]\naction = "drop"\n')
    async with edge.client(listener) as client:
        assert await client.is_closed()
    assert reasons(edge) == ["access-denied"]


async def test_a_tarpitted_client_is_answered_late(edge: Gate) -> None:
    limited(edge, TARPIT, tarpit_s=0.6)
    async with edge.client() as client:
        started = time.monotonic()
        # What it says meanwhile changes nothing.
        await client.send("EHLO x\r\n" * 10)
        assert (await client.reply()).startswith("554 5.7.1")
        assert time.monotonic() - started >= 0.5
        assert await client.is_closed()


TARPIT = '[[access]]\nnetworks = ["127.0.0.0/8"]\naction = "tarpit"\n'


async def test_the_tarpit_has_so_many_places_and_beyond_them_clients_are_dropped(edge: Gate) -> None:
    limited(edge, TARPIT, tarpits=1, tarpit_s=30)
    async with edge.client() as one:
        await until(lambda: edge.sessions.tarpitted == 1)
        async with edge.client() as two:
            assert await two.is_closed()
        one.writer.transport.abort()
    await until_none(edge)
    assert edge.sessions.tarpitted == 0


async def test_a_drain_ends_the_tarpit(edge: Gate) -> None:
    limited(edge, TARPIT, tarpit_s=30)
    async with edge.client() as client:
        await until(lambda: edge.sessions.tarpitted == 1)
        assert await edge.sessions.drain(3)
        assert await client.is_closed()


async def until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def until_idle(edge: Gate) -> None:
    """Wait until the only session waits for something."""
    (session,) = edge.sessions
    await until(lambda: session.state.errors and session._idle)  # type: ignore[attr-defined]


async def until_none(edge: Gate) -> None:
    await until(lambda: not len(edge.sessions))
