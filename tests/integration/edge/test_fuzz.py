"""Whatever a client sends, the session ends or goes on; nothing breaks."""

import random

import pytest
from structlog.testing import capture_logs

from tests.integration.edge.gate import Gate, limited

_WORDS = [
    *(b"EHLO client.test\r\n", b"HELO x\r\n", b"MAIL FROM:<x@away.test>\r\n", b"RCPT TO:<bob@ours.test>\r\n"),
    *(b"MAIL FROM:", b"RCPT TO:", b"<", b">", b"DATA\r\n", b".\r\n", b"\r\n", b"\r", b"\n", b"\0", b" ", b"SIZE=10"),
    *(b"BDAT 5\r\n", b"BDAT 0 LAST\r\n", b"BDAT", b"12345", b"RSET\r\n", b"NOOP\r\n", b"STARTTLS", b"AUTH PLAIN "),
    *(b"XCLIENT ADDR=192.0.2.7\r\n", b"XCLIENT ", b"PROXY TCP4 192.0.2.7 10.0.0.1 1 25\r\n", b"PROXY UNKNOWN\r\n"),
    *(b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", b"MAIL FROM:<> REQUIRETLS\r\n", b"RCPT TO:<x@ours.test>\r\n"),
    *(b"QUIT\r\n", b"\xff\xfe", b"x" * 1000, b"Received: x\r\n", b"Subject: y\r\n", b"VRFY x\r\n", b"HELP\r\n"),
]


def introduce(edge: Gate) -> None:
    """Let this host say XCLIENT."""
    rules = edge.policy.policy
    mx = rules.listeners["mx"].model_copy(update={"xclient_from": rules.limits.exempt_networks})
    edge.policy.policy = rules.model_copy(update={"listeners": rules.listeners | {"mx": mx}})


@pytest.mark.parametrize("seed", range(120))
async def test_no_octets_break_a_session(edge: Gate, seed: int) -> None:
    # A seed, not hypothesis: each example needs sockets, and what failed is found again by its number.
    choice = random.Random(seed)
    limited(edge, errors=choice.choice([3, 1000]), unknown_commands=1000, errors_before_delay=2000)
    introduce(edge)
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
