"""BDAT (RFC 3030)."""

import pytest

from tests.integration.edge.gate import Gate


async def test_chunks_make_one_message(edge: Gate) -> None:
    async with edge.client("chunked") as client:
        await client.begin()
        await client.send(b"BDAT 5\r\nab\r\n\r")
        assert (await client.reply()).startswith("250 2.0.0 5 octets")
        await client.send(b"BDAT 6 LAST\r\n\n.\r\nxy")
        assert (await client.reply()).startswith("250 2.0.0 queued as ")
        assert (await client.say("NOOP")).startswith("250")
    # No dots are removed, and the last line gets its end.
    assert edge.publisher.mails[0].body.endswith(b"ab\r\n\r\n.\r\nxy\r\n")


async def test_refused_chunks_are_swallowed_exactly(edge: Gate) -> None:
    async with edge.client("chunked") as client:
        await client.hello()
        await client.send("MAIL FROM:<x@away.test>\r\nRCPT TO:<nobody@ours.test>\r\nBDAT 16\r\nQUIT\r\nQUIT\r\nQUIT")
        await client.send("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        replies = [await client.reply() for _ in range(5)]
    assert [reply[:9] for reply in replies] == ["250 2.1.0", "550 5.1.1", "554 5.5.1", "554 5.5.1", "250 2.0.0"]


async def test_bdat_before_mail_or_where_it_is_not_offered_swallows_its_octets(edge: Gate) -> None:
    for listener, expected in (("chunked", "503 5.5.1"), ("mx", "502 5.5.1")):
        async with edge.client(listener) as client:
            await client.hello()
            await client.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
            assert (await client.reply()).startswith(expected)
            assert (await client.reply()).startswith("250 2.0.0")


async def test_after_a_flaw_all_chunks_fail_until_rset(edge: Gate) -> None:
    async with edge.client("chunked") as client:
        await client.begin()
        await client.send(b"BDAT 3\r\na\nbBDAT 2 LAST\r\ncd")
        assert (await client.reply()).startswith("554 5.6.0")
        assert (await client.reply()).startswith("503 5.5.1")
        assert (await client.say("RSET")).startswith("250")
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("250")
    assert edge.publisher.mails == []


async def test_data_and_bdat_do_not_mix(edge: Gate) -> None:
    async with edge.client("chunked") as client:
        await client.begin()
        await client.send(b"BDAT 2\r\nab")
        await client.reply()
        assert (await client.say("DATA")).startswith("503 5.5.1")
        assert (await client.say("RCPT TO:<carol@ours.test>")).startswith("503 5.5.1")


@pytest.mark.parametrize("argument", ["", "x", "-1", "5 FIRST", "99999999999999999999"])
async def test_a_chunk_whose_end_is_unknown_ends_the_session(edge: Gate, argument: str) -> None:
    async with edge.client("chunked") as client:
        await client.begin()
        assert (await client.say(f"BDAT {argument}")).startswith("501 5.5.4")
        assert await client.is_closed()


async def test_a_lone_cr_at_the_end_is_bare(edge: Gate) -> None:
    async with edge.client("chunked") as client:
        await client.begin()
        await client.send(b"BDAT 2 LAST\r\na\r")
        assert (await client.reply()).startswith("554 5.6.0")


async def test_an_empty_last_chunk_ends_the_message(edge: Gate) -> None:
    async with edge.client("chunked") as client:
        await client.begin()
        await client.send(b"BDAT 3\r\na\r\nBDAT 0 LAST\r\n")
        await client.reply()
        assert (await client.reply()).startswith("250 2.0.0 queued")
