"""Commands, their order, and the extensions offered."""

import pytest

from tests.integration.edge.gate import Gate, policy


async def test_ehlo_offers_what_the_listener_does(edge: Gate) -> None:
    async with edge.client("mx") as client:
        assert (await client.hello()).split("\n") == [
            "250-gate.test",
            "250-PIPELINING",
            "250-SIZE 26214400",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250-STARTTLS",
            "250 ENHANCEDSTATUSCODES",
        ]
    async with edge.client("submission") as client:
        plain = await client.hello()
        assert "AUTH" not in plain
        assert "CHUNKING" in plain
        assert "DSN" in plain
        await client.start_tls()
        secured = await client.say("EHLO client.test")
        assert "250-AUTH PLAIN LOGIN" in secured
        assert "STARTTLS" not in secured


@pytest.mark.parametrize(
    "line, expected",
    [
        ("EHLO", "501 5.5.2"),
        ("EHLO under_score", "501 5.5.2"),
        ("EHLO 192.0.2.1", "501 5.5.2"),
        ("HELO a b", "501 5.5.2"),
        ("EHLO a\tb", "501 5.5.2"),
        ("EHLO [192.0.2.1]", "250-"),
        ("EHLO [IPv6:2001:db8::1]", "250-"),
        ("HELO client.test", "250 gate.test"),
        ("MAIL FROM:<x@away.test>", "503 5.5.1"),
        ("RCPT TO:<bob@ours.test>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("BDAT 0", "502 5.5.1"),
        ("AUTH PLAIN", "503 5.5.1"),
        ("STARTTLS", "503 5.5.1"),
        ("STARTTLS now", "501 5.5.4"),
        ("VRFY bob", "252 2.1.5"),
        ("VRFY", "501 5.5.4"),
        ("EXPN list", "502 5.5.1"),
        ("HELP", "214 2.0.0"),
        ("NOOP whatever", "250 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("RSET x", "501 5.5.4"),
        ("QUIT x", "501 5.5.4"),
        ("noop", "250 2.0.0"),
        ("GET / HTTP/1.1", "500 5.5.2"),
        ("", "500 5.5.2"),
        (b"NOOP \xff", "501 5.5.2"),
    ],
)
async def test_a_command_before_ehlo(edge: Gate, line: str | bytes, expected: str) -> None:
    async with edge.client() as client:
        await client.reply()
        assert (await client.say(line)).startswith(expected)


@pytest.mark.parametrize(
    "line, expected",
    [
        ("MAIL FROM:<>", "250 2.1.0"),
        ("MAIL FROM: <x@away.test>", "250 2.1.0"),
        ("mail from:<x@away.test> size=100 body=8bitmime", "250 2.1.0"),
        ("MAIL FROM:<x@away.test> BODY=BINARYMIME", "555 5.5.4"),
        ("MAIL FROM:<x@away.test> BODY=9BIT", "501 5.5.4"),
        ("MAIL FROM:<x@away.test> SIZE=99999999", "552 5.3.4"),
        ("MAIL FROM:<x@away.test> SIZE=x", "501 5.5.4"),
        ("MAIL FROM:<x@away.test> SIZE=1 SIZE=2", "501 5.5.4"),
        ("MAIL FROM:<x@away.test> RET=FULL", "555 5.5.4"),
        ("MAIL FROM:<x@away.test> NEW=1", "555 5.5.4"),
        ("MAIL FROM:<x@away.test> AUTH=<>", "555 5.5.4"),
        ("MAIL FROM:<b\u00f6b@away.test>", "501 5.1.7"),
        ("MAIL FROM:<b\u00f6b@away.test> SMTPUTF8", "250 2.1.0"),
        ("MAIL FROM:<x@away.test> SMTPUTF8=1", "501 5.5.4"),
        ("MAIL FROM:x@away.test", "501 5.5.2"),
        ("MAIL FROM:<x>", "501 5.1.7"),
        ("MAIL FROM:<x@away.test>SIZE=1", "501 5.5.2"),
        ("MAIL", "501 5.5.4"),
        ("MAIL TO:<x@away.test>", "501 5.5.4"),
    ],
)
async def test_mail_after_ehlo(edge: Gate, line: str, expected: str) -> None:
    async with edge.client() as client:
        await client.hello()
        assert (await client.say(line)).startswith(expected)


async def test_helo_takes_no_parameters(edge: Gate) -> None:
    async with edge.client() as client:
        await client.reply()
        await client.say("HELO client.test")
        assert (await client.say("MAIL FROM:<x@away.test> SIZE=1")).startswith("501 5.5.4")
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("250")


async def test_mail_does_not_nest_and_rset_ends_a_transaction(edge: Gate) -> None:
    async with edge.client() as client:
        await client.begin()
        assert (await client.say("MAIL FROM:<y@away.test>")).startswith("503 5.5.1")
        assert (await client.say("RSET")).startswith("250")
        assert (await client.say("DATA")).startswith("503 5.5.1")


async def test_data_without_a_valid_recipient_is_refused(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.send("MAIL FROM:<x@away.test>\r\nRCPT TO:<nobody@ours.test>\r\nDATA\r\n")
        replies = [await client.reply() for _ in range(3)]
        assert [reply[:9] for reply in replies] == ["250 2.1.0", "550 5.1.1", "554 5.5.1"]
        assert (await client.say("RSET")).startswith("250")


async def test_groups_may_be_pipelined_up_to_data_and_behind_the_message(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        group = "MAIL FROM:<x@away.test>\r\nRCPT TO:<bob@ours.test>\r\nDATA\r\n"
        await client.send(group)
        assert [(await client.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
        # RFC 2920 §3.1: the message may be the first of a group.
        await client.send("hello\r\n.\r\n" + group)
        assert [(await client.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        await client.send("hello\r\n.\r\nQUIT\r\n")
        assert [(await client.reply())[:3] for _ in range(2)] == ["250", "221"]
        assert await client.is_closed()
    assert len(edge.publisher.mails) == 2


@pytest.mark.parametrize(
    "lines",
    [
        "EHLO client.test\r\nMAIL FROM:<x@away.test>\r\n",
        "HELO client.test\r\nNOOP\r\n",
        "DATA\r\nhello\r\n.\r\n",
        "AUTH PLAIN AGEAYg==\r\nNOOP\r\n",
        "MAIL FROM:<y@away.test>\r\nDATA\r\nRSET\r\n",
    ],
)
async def test_whoever_does_not_wait_where_it_must_is_sent_away(edge: Gate, lines: str) -> None:
    async with edge.client() as client:
        await client.begin()
        await client.send(lines)
        replies = []
        while reply := await client.reply():
            replies.append(reply)
    assert replies[-1].startswith("503 5.5.0 Improper use of pipelining")
    assert not [reply for reply in replies if reply.startswith(("354", "2"))]
    assert edge.publisher.mails == []
    assert edge.events.told[-1][2]["reason"] == "improper-pipelining"


async def test_without_ehlo_nothing_is_pipelined(edge: Gate) -> None:
    async with edge.client() as client:
        await client.reply()
        await client.say("HELO client.test")
        await client.send("NOOP\r\nRSET\r\nVRFY x\r\nNOOP\r\n")
        assert [(await client.reply())[:3] for _ in range(4)] == ["250", "250", "252", "250"]
        await client.send("MAIL FROM:<x@away.test>\r\nRCPT TO:<bob@ours.test>\r\n")
        assert (await client.reply()).startswith("503 5.5.0")
        assert await client.is_closed()


async def test_garbage_behind_quit_is_ignored(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.send(b"QUIT\r\n" + b"MAIL FROM:<x@away.test>\r\n\0\xff\n" * 500)
        assert (await client.reply()).startswith("221 2.0.0")
        assert await client.is_closed()
    assert edge.events.told == []


async def test_a_recipient_named_twice_gets_one_copy(edge: Gate) -> None:
    async with edge.client() as client:
        await client.begin()
        assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        await client.reply()
    assert len(edge.publisher.mails[0].envelope.recipients) == 1


async def test_dsn_parameters_are_carried(edge: Gate) -> None:
    edge.policy.policy = policy('[relay]\nnetworks = ["127.0.0.1"]\n')
    async with edge.client("relay") as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<x@ours.test> RET=HDRS ENVID=QQ+2B314")).startswith("250")
        reply = await client.say("RCPT TO:<y@away.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;y+2Bz@away.test")
        assert reply.startswith("250")
        assert (await client.say("RCPT TO:<z@away.test> NOTIFY=NEVER,DELAY")).startswith("501 5.5.4")
        assert (await client.say("RCPT TO:<z@away.test> ORCPT=rfc822;a+2bz")).startswith("501 5.5.4")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        await client.reply()
    envelope = edge.publisher.mails[0].envelope
    assert (envelope.ret, envelope.envid) == ("HDRS", "QQ+2B314")
    assert envelope.recipients[0].notify == ("SUCCESS", "DELAY")
    assert envelope.recipients[0].orcpt == "rfc822;y+2Bz@away.test"


async def test_a_message_of_eight_bits_is_declared_so(edge: Gate) -> None:
    async with edge.client() as client:
        await client.mail("ü\r\n".encode())
    assert edge.publisher.mails[0].envelope.body == "8BITMIME"
