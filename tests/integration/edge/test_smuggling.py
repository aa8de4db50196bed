"""Line ends: only CRLF ends a line, only CRLF . CRLF ends a message (CVE-2023-51764, CVE-2024-27305)."""

import pytest

from tests.integration.edge.gate import Gate

_SMUGGLED = b"MAIL FROM:<evil@away.test>\r\nRCPT TO:<carol@ours.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"\n.\n", id="LF.LF"),
        pytest.param(b"\n.\r\n", id="LF.CRLF"),
        pytest.param(b"\r\n.\n", id="CRLF.LF"),
        pytest.param(b"\r.\r", id="CR.CR"),
        pytest.param(b"\r\n.\r", id="CRLF.CR"),
        pytest.param(b"\r.\r\n", id="CR.CRLF"),
        pytest.param(b"\r\r\n.\r\n\r", id="CRCRLF"),
        pytest.param(b"\n.\r\r\n", id="LF.CRCRLF"),
        pytest.param(b"\r\n\0.\r\n", id="CRLF-NUL.CRLF"),
        pytest.param(b"\r\n.\0\r\n", id="CRLF.NUL-CRLF"),
    ],
)
@pytest.mark.parametrize("piece", [1, 3, 100_000])
async def test_nothing_but_crlf_dot_crlf_ends_a_message(edge: Gate, end: bytes, piece: int) -> None:
    async with edge.client() as client:
        await client.begin()
        assert (await client.say("DATA")).startswith("354")
        octets = b"Subject: outer\r\n\r\nbody" + end + _SMUGGLED + b".\r\nNOOP\r\n"
        for at in range(0, len(octets), piece):
            await client.send(octets[at : at + piece])
        if end == b"\r\r\n.\r\n\r":
            # This one holds a true end; what follows it are commands, and the first of them is not one.
            assert (await client.reply()).startswith("554 5.6.0 ")
            assert (await client.reply()).startswith("500 5.5.2 ")
            return
        assert (await client.reply()).startswith("554 5.6.0 ")
        assert (await client.reply()) == "250 2.0.0 OK"
    assert edge.publisher.mails == []


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\r\r\n", b"NO\0OP\r\n", b"\n"])
async def test_a_command_line_with_a_bare_cr_lf_or_nul_ends_the_session(edge: Gate, line: bytes) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.send(line + b"MAIL FROM:<x@away.test>\r\n")
        assert (await client.reply()).startswith("500 5.5.2 ")
        assert await client.is_closed()


async def test_an_end_that_comes_at_once_is_an_empty_message(edge: Gate) -> None:
    async with edge.client() as client:
        assert (await client.mail(b"")).startswith("250 2.0.0 queued as ")
    assert edge.publisher.mails[0].body.endswith(b"\r\n")


async def test_a_command_line_without_end_ends_the_session(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.send(b"NOOP " + b"x" * 5000)
        assert (await client.reply()).startswith("500 5.5.2 Line too long")
        assert await client.is_closed()
