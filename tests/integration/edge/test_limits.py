"""Bounds of sessions and messages."""

import asyncio
import contextlib

import psutil
import pytest

from shared.event import EventKind
from tests.integration.edge.gate import Client, Gate, limited


async def test_errors_are_counted_and_end_the_session(edge: Gate) -> None:
    limited(edge, errors=3)
    async with edge.client() as client:
        await client.hello()
        for line in ("WHAT", "RCPT", "MAIL"):
            assert (await client.say(line)).startswith("50")
        assert (await client.reply()).startswith("421 4.7.0 Too many errors")
        assert await client.is_closed()
    assert edge.events.told[-1][1] is EventKind.SESSION_REFUSED


async def test_commands_without_a_message_are_counted(edge: Gate) -> None:
    limited(edge, commands=6)
    async with edge.client() as client:
        assert (await client.mail(b"x\r\n")).startswith("250")
        # The message has paid for what came before it.
        for _ in range(6):
            assert (await client.say("NOOP")).startswith("250")
        assert (await client.say("NOOP")).startswith("421 4.7.0 Too many commands")


async def test_too_many_connections_are_421(edge: Gate) -> None:
    limited(edge, connections=2)
    async with edge.client() as one, edge.client() as two:
        await one.hello()
        await two.hello()
        async with edge.client() as three:
            assert (await three.reply()).startswith("421 4.7.0 Too many connections")
            assert await three.is_closed()
        assert (await one.say("NOOP")).startswith("250")


async def test_without_the_broker_new_sessions_are_421_and_mail_451(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        edge.broker_takes = False
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("451 4.3.2")
        async with edge.client() as late:
            assert (await late.reply()).startswith("421 4.3.2")


async def test_more_than_100_recipients_are_452(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        for number in range(100):
            assert (await client.say(f"RCPT TO:<r{number}@any.test>")).startswith("250")
        for _ in range(20):
            assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("452 4.5.3")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    assert len(edge.publisher.mails[0].envelope.recipients) == 100


async def test_an_envelope_that_fits_no_frame_is_452(edge: Gate) -> None:
    limited(edge, '[relay]\nnetworks = ["127.0.0.1"]\n', recipients=1000)
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@ours.test>")
        for number in range(1000):
            assert (await client.say(f"RCPT TO:<{'r' * 60}{number:04}@{'d' * 60}.{'e' * 60}.test>")).startswith("250")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).startswith("452 4.5.3")
    assert edge.publisher.mails == []


@pytest.mark.parametrize(
    "limit, expected",
    [("command_timeout_s", "421 4.4.2"), ("session_timeout_s", "421 4.4.2")],
)
async def test_a_silent_client_is_sent_away(edge: Gate, limit: str, expected: str) -> None:
    limited(edge, **{limit: 0.3})
    async with edge.client() as client:
        await client.hello()
        assert (await client.reply()).startswith(expected)
        assert await client.is_closed()


@pytest.mark.parametrize("limit", ["data_timeout_s", "message_timeout_s"])
async def test_a_message_that_stops_or_drips_is_given_up(edge: Gate, limit: str) -> None:
    limited(edge, **{limit: 0.3})
    async with edge.client() as client:
        await client.begin()
        await client.say("DATA")

        async def drip() -> None:
            while True:
                await client.send(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip()) if limit == "message_timeout_s" else None
        assert (await client.reply()).startswith("421 4.4.2")
        if dripping:
            dripping.cancel()
    assert edge.publisher.mails == []


async def test_single_octets_win_no_time_in_a_command(edge: Gate) -> None:
    limited(edge, command_timeout_s=0.3)
    async with edge.client() as client:
        await client.hello()
        async with asyncio.timeout(5):
            while not client.reader.at_eof():
                await client.send(b"N")
                await asyncio.sleep(0.05)
                if len(client.reader._buffer):  # type: ignore[attr-defined]
                    break
        assert (await client.reply()).startswith("421 4.4.2")


async def test_a_client_that_ends_no_handshake_is_cut_off(edge: Gate) -> None:
    limited(edge, handshake_timeout_s=0.3)
    async with edge.client("submissions") as client:
        assert await client.is_closed()
    async with edge.client("proxied") as client:
        await client.send(b"\r\n")
        assert (await client.reply()).startswith("421") or await client.is_closed()


async def test_a_message_over_the_limit_is_552_after_its_end(edge: Gate) -> None:
    limited(edge, message_size_bytes=65_536)
    async with edge.client() as client:
        await client.begin()
        await client.say("DATA")
        await client.send(b"x" * 70 + b"\r\n")
        await client.send((b"x" * 70 + b"\r\n") * 2000 + b".\r\n")
        assert (await client.reply()).startswith("552 5.3.4")
        assert (await client.say("NOOP")).startswith("250")
        assert (await client.say("MAIL FROM:<x@away.test> SIZE=65537")).startswith("552 5.3.4")
        assert (await client.say("MAIL FROM:<x@away.test> SIZE=65536")).startswith("250")


async def test_a_message_of_exactly_the_limit_is_taken(edge: Gate) -> None:
    limited(edge, message_size_bytes=65_536)
    for size, expected in ((65_536, "250"), (65_538, "552")):
        async with edge.client() as client:
            body = b"x" * 510 + b"\r\n"
            assert (await client.mail(body * (size // 512) + b"\r\n" * (size % 512 // 2))).startswith(expected)


async def test_beyond_the_budget_messages_are_452_and_give_their_memory_back_at_once(edge: Gate) -> None:
    limited(edge, in_flight_bytes=1_048_576)
    async with edge.client() as one, edge.client() as two:
        for client in (one, two):
            await client.begin()
            await client.say("DATA")
        await one.send((b"x" * 510 + b"\r\n") * 1800)
        await until_used(edge, 900_000)
        await two.send((b"x" * 510 + b"\r\n") * 1800)
        await two.send(b".\r\n")
        assert (await two.reply()).startswith("452 4.3.1")
        assert (await two.say("MAIL FROM:<x@away.test> SIZE=900000")).startswith("452 4.3.1")
        await one.send(b".\r\n")
        assert (await one.reply()).startswith("250")
    assert edge.budget.used == 0


async def until_used(edge: Gate, octets: int) -> None:
    async with asyncio.timeout(10):
        while edge.budget.used < octets:
            await asyncio.sleep(0.01)


async def test_while_the_verdict_is_awaited_no_budget_is_held(edge: Gate) -> None:
    edge.content_lives()
    async with edge.client() as client:
        await client.begin()
        await client.say("DATA")
        await client.send((b"x" * 510 + b"\r\n") * 100 + b".\r\n")
        await edge.publisher.until(lambda: bool(edge.publisher.mails))
        async with asyncio.timeout(5):
            while edge.budget.used:
                await asyncio.sleep(0.01)


async def test_large_messages_are_published_one_after_the_other(edge: Gate) -> None:
    edge.publisher.gate = asyncio.Event()
    async with edge.client() as one, edge.client() as two:
        for client in (one, two):
            await client.begin()
            await client.say("DATA")
            await client.send((b"x" * 510 + b"\r\n") * 2100 + b".\r\n")
        await edge.publisher.until(lambda: len(edge.publisher.mails) == 1)
        edge.publisher.gate.set()
        assert (await one.reply()).startswith("250")
        assert (await two.reply()).startswith("250")
    assert edge.publisher.largest_at_once == 1


async def test_a_line_without_end_of_100_mb_is_552_within_bounds(edge: Gate) -> None:
    before = psutil.Process().memory_info().rss
    highest = 0
    async with edge.client() as client:
        await client.begin()
        await client.say("DATA")
        piece = b"x" * 1_000_000
        for _ in range(100):
            await client.send(piece)
            highest = max(highest, psutil.Process().memory_info().rss)
        await client.send(b"\r\n.\r\n")
        assert (await client.reply()).startswith("552 5.3.4")
    # The limit is 25 MB; this process holds the client, too.
    assert highest - before < 60_000_000


async def test_10_mb_of_bare_crlfs_stay_within_bounds(edge: Gate) -> None:
    before = psutil.Process().memory_info().rss
    async with edge.client() as client:
        await client.begin()
        await client.say("DATA")
        for _ in range(100):
            await client.send(b"\r\n" * 50_000)
        highest = psutil.Process().memory_info().rss
        await client.send(b".\r\n")
        assert (await client.reply()).startswith("250")
    assert highest - before < 60_000_000
    assert edge.publisher.mails[0].body.endswith(b"\r\n" * 1000)


async def test_a_message_with_too_many_received_fields_is_a_loop(edge: Gate) -> None:
    async with edge.client() as client:
        assert (await client.mail(b"Received: x\r\n" * 31 + b"\r\nx\r\n")).startswith("554 5.4.6")
    async with edge.client() as client:
        assert (await client.mail(b"Received: x\r\n" * 30 + b"\r\n" + b"Received: x\r\n" * 9)).startswith("250")


async def test_the_same_message_to_the_same_recipient_is_a_loop_and_to_another_is_not(edge: Gate) -> None:
    async with edge.client() as client:
        await client.mail(b"Subject: x\r\n\r\nx\r\n", "bob@ours.test")
    returned = edge.publisher.mails[0].body
    async with edge.client() as client:
        assert (await client.mail(returned, "Bob@ours.test")).startswith("554 5.4.6")
    async with edge.client() as client:
        assert (await client.mail(returned, "carol@ours.test")).startswith("250")


async def test_a_client_that_goes_within_a_message_leaves_nothing_behind(edge: Gate) -> None:
    for listener, line in (("mx", "DATA"), ("chunked", "BDAT 100000")):
        async with edge.client(listener) as client:
            await client.begin()
            await client.send(line + "\r\n")
            if line == "DATA":
                await client.reply()
            await client.send(b"x" * 50_000)
            await until_used(edge, 50_000)
    async with asyncio.timeout(10):
        while len(edge.sessions):
            await asyncio.sleep(0.01)
    assert edge.budget.used == 0
    assert edge.publisher.mails == []


async def test_a_client_that_fetches_no_replies_is_cut_off(edge: Gate) -> None:
    limited(edge, command_timeout_s=0.5, commands=10_000_000)
    before = psutil.Process().memory_info().rss
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.listeners.port("mx"), limit=1024)
    sending = asyncio.create_task(Client(reader, writer).send(b"HELP\r\n" * 400_000))
    async with asyncio.timeout(20):
        while not len(edge.sessions):
            await asyncio.sleep(0.01)
        while len(edge.sessions):
            await asyncio.sleep(0.01)
    await sending
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert psutil.Process().memory_info().rss - before < 60_000_000
