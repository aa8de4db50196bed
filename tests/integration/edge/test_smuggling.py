"""Line ends: only CRLF ends a line, only CRLF . CRLF ends a message (CVE-2023-51764, CVE-2024-27305).

The matrix: every end of data that CR, LF and a dot can make, in the clear, within TLS, and in chunks, in one piece or in
many, gives one message or a 5xx; never does a second message come of it.
"""

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.edge.gate import Client, Gate, trusting

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


_LINE_ENDS = (b"", b"\r", b"\n", b"\r\n", b"\n\r", b"\r\r", b"\n\n", b"\r\r\n", b"\r\n\n", b"\r\n\r")
_ENDS = [before + dots + after for before, after in itertools.product(_LINE_ENDS, repeat=2) for dots in (b".", b"..")]
_OUTER = b"Subject: outer\r\n\r\nbody"


@asynccontextmanager
async def opened(edge: Gate, transport: str) -> AsyncIterator[Client]:
    """Yield a client that may begin a message."""
    listener, sender = ("chunked", "x@away.test") if "tls" not in transport else ("submissions", "alice@ours.test")
    if transport == "starttls":
        listener = "submission"
    async with edge.client(listener, tls=transport == "implicit-tls") as client:
        await client.hello()
        if transport == "starttls":
            await client.start_tls()
            await client.say("EHLO client.test")
        if "tls" in transport:
            assert (await client.log_in()).startswith("235")
        assert (await client.say(f"MAIL FROM:<{sender}>")).startswith("250")
        assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
        yield client


async def send(client: Client, octets: bytes, piece: int) -> None:
    for at in range(0, len(octets), piece):
        await client.send(octets[at : at + piece])


async def replies_of(client: Client) -> list[str]:
    """Return all replies up to the end."""
    replies = []
    while reply := await client.reply():
        replies.append(reply)
    return replies


@pytest.mark.parametrize("piece", [7, 1_000_000])
@pytest.mark.parametrize("transport", ["plain", "starttls", "implicit-tls"])
async def test_every_end_of_data_gives_one_message_or_a_5xx(edge: Gate, transport: str, piece: int) -> None:
    for end in _ENDS:
        edge.publisher.published.clear()
        async with opened(edge, transport) as client:
            assert (await client.say("DATA")).startswith("354")
            await send(client, _OUTER + end + _SMUGGLED + b".\r\nQUIT\r\n", piece)
            replies = await replies_of(client)
        mails = edge.publisher.mails
        assert len(mails) <= 1, end
        assert mails or any(reply.startswith("5") for reply in replies), (end, replies)
        assert all(mail.envelope.sender != "evil@away.test" for mail in mails), end
        # What was smuggled is text of the one message, where the end was none, or it is nowhere.
        ended = end.find(b"\r\n.\r\n") >= 0
        assert not mails or (b"smuggled" in mails[0].body) == (not ended), end
        assert not mails or not re.search(rb"\r(?!\n)|(?<!\r)\n", mails[0].body), end


@pytest.mark.parametrize("piece", [7, 1_000_000])
@pytest.mark.parametrize("chunks", [1, 2])
async def test_every_end_of_data_is_text_in_a_chunk(edge: Gate, chunks: int, piece: int) -> None:
    for end in _ENDS:
        edge.publisher.published.clear()
        text = _OUTER + end + _SMUGGLED + b".\r\n"
        cut = len(_OUTER) + len(end) // 2 if chunks == 2 else 0
        octets = b"BDAT %d\r\n" % cut + text[:cut] if cut else b""
        octets += b"BDAT %d LAST\r\n" % (len(text) - cut) + text[cut:] + b"QUIT\r\n"
        async with opened(edge, "plain") as client:
            await send(client, octets, piece)
            replies = await replies_of(client)
        bare = re.search(rb"\r(?!\n)|(?<!\r)\n", text) is not None
        assert [reply[:3] for reply in replies][-1] == "221", (end, replies)
        if bare:
            assert edge.publisher.mails == [], end
            assert any(reply.startswith("554 5.6.0") for reply in replies), end
        else:
            (mail,) = edge.publisher.mails
            assert mail.body.endswith(text), end
            assert mail.envelope.sender == "x@away.test"


async def test_a_body_that_comes_with_data_is_never_read_as_commands(edge: Gate) -> None:
    for recipient in ("bob@ours.test", "nobody@ours.test"):
        async with edge.client() as client:
            await client.hello()
            await client.send(b"MAIL FROM:<x@away.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % recipient.encode() + _SMUGGLED)
            replies = await replies_of(client)
        assert replies[-1].startswith("503 5.5.0")
        assert len(replies) == 3
    assert edge.publisher.mails == []


_INJECTED = b"MAIL FROM:<evil@away.test>\r\nRCPT TO:<carol@ours.test>\r\n"


@pytest.mark.parametrize("behind", [b"STARTTLS\r\n", b"EHLO evil.test\r\n" + _INJECTED, b"\r\n", b"\x16\x03\x01"])
async def test_nothing_from_before_tls_is_heard_within_it(edge: Gate, behind: bytes) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.send(b"STARTTLS\r\n" + behind)
        assert (await client.reply()).startswith("220 2.0.0")
        await client.writer.start_tls(trusting())
        # One reply for one command, and the one that the command gets.
        assert (await client.say("NOOP")) == "250 2.0.0 OK"
        assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("503 5.5.1")
        assert (await client.say("STARTTLS")).startswith("503 5.5.1")
        assert (await client.say("EHLO client.test")).startswith("250-")


@pytest.mark.parametrize(
    "name",
    [
        b"x\rMAIL FROM:<evil@away.test>",
        b"x\nMAIL FROM:<evil@away.test>",
        b"x\0y",
        b"x\x85y.test",
        "x\u2028y.test".encode(),
        b"x y",
        b"x\ty",
        b"x(comment)",
        b"x;y",
        b"x@y",
        b"<x>",
        b"[127.0.0.1",
        b"[127.0.0.1]x",
        b"[x\r\n ]",
        b"-x.test",
        b"x..test",
        b".x",
        b"x" * 64 + b".test",
        b".".join([b"x" * 60] * 5),
        b"x" * 4000,
    ],
)
async def test_a_name_that_is_none_is_refused_and_goes_nowhere(edge: Gate, name: bytes) -> None:
    for verb in (b"HELO ", b"EHLO "):
        async with edge.client() as client:
            await client.reply()
            assert (await client.say(verb + name))[:3] in ("500", "501", "503")
            reply = await client.say("MAIL FROM:<x@away.test>")
            assert reply == "" or reply.startswith("50"), reply


@pytest.mark.parametrize(
    "path",
    [
        b"<x@away.test\r>",
        b"<x@away.test\n>",
        b"<x\0@away.test>",
        b'<"x\ry"@away.test>',
        b'<"x\ny"@away.test>',
        b'<"x\\\ny"@away.test>',
        b"<x@away.test>\rRCPT TO:<carol@ours.test>",
        "<x\u2028@away.test> SMTPUTF8".encode(),
        "<x\u0085@away.test> SMTPUTF8".encode(),
        "<x@away\u2028.test> SMTPUTF8".encode(),
        b"<x@away.test> SIZE=1\tBODY=7BIT",
        b"<x@away.test> NOTIFY=NEVER\x0bORCPT=rfc822;x",
        b"<x@away.test>\tSIZE=1",
        b"<x@away.test> BODY=8BITMIME>RCPT",
        b"<x@away.test>\t\x00",
        b"<<x@away.test>>",
        b"<x@away.test><y@away.test>",
        b"<x@away.test",
        b"x@away.test",
        b"<x@[127.0.0.1\r\n ]>",
        b"<" + b"x" * 300 + b"@away.test>",
    ],
)
@pytest.mark.parametrize("verb", [b"MAIL FROM:", b"RCPT TO:"])
async def test_a_path_that_is_none_is_refused(edge: Gate, verb: bytes, path: bytes) -> None:
    async with edge.client() as client:
        await client.hello()
        if verb == b"RCPT TO:":
            await client.say("MAIL FROM:<x@away.test> SMTPUTF8")
        reply = await client.say(verb + path)
        assert reply[:3] in ("500", "501", "503", "555"), reply
    assert edge.publisher.mails == []


async def test_our_trace_fields_hold_one_line_each_whatever_the_client_says(edge: Gate) -> None:
    async with edge.client() as client:
        await client.reply()
        await client.say("EHLO [IPv6:2001:db8::1]")
        assert (await client.say(b'MAIL FROM:<"a;b (c) \\"d\\" from x by y"@away.test>')).startswith("250")
        assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
        await client.say("DATA")
        await client.send("Subject: x\r\n\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    head = edge.publisher.mails[0].body.partition(b"Subject:")[0]
    assert all(re.match(rb"[A-Za-z-]+: |[ \t]", line) for line in head.split(b"\r\n")[:-1]), head
