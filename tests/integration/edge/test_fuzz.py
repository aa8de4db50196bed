"""Whatever a client sends, the session ends or goes on; nothing breaks."""

import random

import pytest
from structlog.testing import capture_logs

from tests.integration.edge.gate import Gate

_WORDS = [
    *(b"EHLO client.test\r\n", b"HELO x\r\n", b"MAIL FROM:<x@away.test>\r\n", b"RCPT TO:<bob@ours.test>\r\n"),
    *(b"MAIL FROM:", b"RCPT TO:", b"<", b">", b"DATA\r\n", b".\r\n", b"\r\n", b"\r", b"\n", b"\0", b" ", b"SIZE=10"),
    *(b"BDAT 5\r\n", b"BDAT 0 LAST\r\n", b"BDAT", b"12345", b"RSET\r\n", b"NOOP\r\n", b"STARTTLS", b"AUTH PLAIN "),
    *(b"QUIT\r\n", b"\xff\xfe", b"x" * 1000, b"Received: x\r\n", b"Subject: y\r\n", b"VRFY x\r\n", b"HELP\r\n"),
]


@pytest.mark.parametrize("seed", range(60))
async def test_no_octets_break_a_session(edge: Gate, seed: int) -> None:
    # A seed, not hypothesis: each example needs sockets, and what failed is found again by its number.
    choice = random.Random(seed)
    with capture_logs() as logs:
        async with edge.client(choice.choice(["mx", "chunked", "proxied"])) as client:
            for _ in range(choice.randint(1, 30)):
                await client.send(b"".join(choice.choices(_WORDS, k=choice.randint(1, 6))))
            client.writer.write_eof()
            replies = (await client.reader.read()).decode().split("\r\n")
        # Every line is a reply with a code that fits its enhanced one.
        for reply in filter(None, replies):
            assert reply[:3].isdigit()
            assert reply[3:4] in ("-", " ")
            assert "Traceback" not in reply
    assert not [line for line in logs if line["event"] in ("session-broken", "command-broken")]
