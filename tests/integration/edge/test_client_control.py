"""Client control and throttled logins over a real socket: who may send how much, and what the others are told."""

import base64
from pathlib import Path

import pytest

from shared.dns.resolver import CachingResolver
from shared.policy import parse_policy
from tests.dnsserver import DnsServer, Fault, Records
from tests.integration.edge.gate import PASSWORD, Client, Gate, gate, limited
from tests.integration.edge.proxied import client_at, rules

RULES = """
[[clients]]
name = "newsletter"
senders = ["news@away.test"]
count_by = "sender"
messages = "2/h"
text = "Two letters an hour"
[[clients]]
name = "list"
recipients = ["carol@ours.test"]
messages = "2/h"
temporary = false
text = "Carol has enough"
[[clients]]
name = "spammer"
senders = ["@.spam.test"]
refuse = true
text = "We do not want this"
[[clients]]
name = "later"
senders = ["later@away.test"]
refuse = true
temporary = true
[[clients]]
name = "no-mail-for"
recipients = ["odd*@ours.test"]
refuse = true
[[clients]]
name = "small"
senders = ["small@away.test"]
message_size_bytes = 2000
[[clients]]
name = "octets"
senders = ["octets@away.test"]
octets = "3000/h"
"""
MESSAGE = b"Subject: x\r\n\r\n"


async def mail(client: Client, sender: str, *recipients: str, octets: int = 0, declared: str = "") -> str:
    """Send a message and return the first reply that is none of success, or the last one."""
    for line in (f"MAIL FROM:<{sender}>{declared}", *(f"RCPT TO:<{recipient}>" for recipient in recipients), "DATA"):
        reply = await client.say(line)
        if reply[0] not in "23":
            await client.say("RSET")
            return reply
    author = f"From: {sender}\r\n".encode()
    await client.send(author + MESSAGE + b"x" * 98 + b"\r\n" + (b"y" * 98 + b"\r\n") * (octets // 100) + b".\r\n")
    return await client.reply()


async def test_a_rule_has_a_number_of_messages_and_its_own_text(edge: Gate) -> None:
    limited(edge, RULES)
    async with edge.client() as client:
        await client.hello()
        for _ in range(2):
            assert (await mail(client, "news@away.test", "bob@ours.test")).startswith("250")
        assert (await mail(client, "News@away.test", "bob@ours.test")).startswith("450 4.7.1 Two letters an hour [")
        assert (await mail(client, '"news"@away.test', "bob@ours.test")).startswith("450 4.7.1")
        assert (await mail(client, "other@away.test", "bob@ours.test")).startswith("250")


async def test_a_rule_about_recipients_counts_at_rcpt_and_may_be_permanent(edge: Gate) -> None:
    limited(edge, RULES)
    async with edge.client() as client:
        await client.hello()
        for _ in range(2):
            assert (await mail(client, "a@away.test", "carol@ours.test", "bob@ours.test")).startswith("250")
        assert (await mail(client, "b@away.test", "carol@ours.test")).startswith("550 5.7.1 Carol has enough [")
        assert (await mail(client, "b@away.test", "bob@ours.test")).startswith("250")


@pytest.mark.parametrize(
    ("sender", "recipient", "reply"),
    [
        ("x@spam.test", "bob@ours.test", "550 5.7.1 We do not want this ["),
        ("x@a.b.spam.test", "bob@ours.test", "550 5.7.1 We do not want this ["),
        ("x@notspam.test", "bob@ours.test", "250"),
        ("later@away.test", "bob@ours.test", "450 4.7.1 Refused by a rule of this server ["),
        ("x@away.test", "odd%name@ours.test", "550 5.7.1 Refused by a rule of this server ["),
    ],
)
async def test_a_rule_may_refuse(edge: Gate, sender: str, recipient: str, reply: str) -> None:
    limited(edge, RULES)
    async with edge.client() as client:
        await client.hello()
        assert (await mail(client, sender, recipient)).startswith(reply)
    if not reply.startswith("250"):
        assert edge.events.told[-1][2]["reason"] == "client-rule"


async def test_a_rules_size_holds_as_declared_and_as_it_is(edge: Gate) -> None:
    limited(edge, RULES)
    async with edge.client() as client:
        await client.hello()
        declared = await mail(client, "small@away.test", "bob@ours.test", declared=" SIZE=2001")
        assert declared.startswith("552 5.3.4")
        # What was declared too small is measured at the end.
        assert (await mail(client, "small@away.test", "bob@ours.test", octets=3000, declared=" SIZE=10")).startswith(
            "552"
        )
        assert (await mail(client, "small@away.test", "bob@ours.test", octets=1000)).startswith("250")
        assert (await mail(client, "other@away.test", "bob@ours.test", octets=3000)).startswith("250")


async def test_octets_are_counted_by_the_real_size(edge: Gate) -> None:
    limited(edge, RULES)
    async with edge.client() as client:
        await client.hello()
        assert (await mail(client, "octets@away.test", "bob@ours.test", octets=2000)).startswith("250")
        assert (await mail(client, "octets@away.test", "bob@ours.test", octets=2000)).startswith("452 4.7.1")
        assert (await mail(client, "octets@away.test", "bob@ours.test", octets=500)).startswith("250")


async def test_a_rule_for_a_login_holds_for_it_alone(edge: Gate) -> None:
    rule = '[[clients]]\nname = "alice"\nlogins = ["Alice@ours.test"]\ncount_by = "login"\nmessages = "1/h"\n'
    limited(edge, rule)
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.log_in()).startswith("235")
        assert (await mail(client, "alice@ours.test", "bob@ours.test")).startswith("250")
        assert (await mail(client, "alice@ours.test", "bob@ours.test")).startswith("450 4.7.1")
    async with edge.client() as client:
        await client.hello()
        assert (await mail(client, "alice@away.test", "bob@ours.test")).startswith("250")


async def test_guesses_at_a_login_are_put_off_and_other_logins_are_not(edge: Gate) -> None:
    limited(edge, auth_failures=100, errors=100, error_delay_s=0)
    wrong = base64.b64encode(b"\0alice@ours.test\0wrong").decode()
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        for _ in range(10):
            assert (await client.say(f"AUTH PLAIN {wrong}")).startswith("535")
        # Not even the right password: a guesser would learn from it that the next one counts again.
        assert (await client.log_in()).startswith("454 4.7.0")
        assert (await client.log_in("robot", PASSWORD)).startswith("235")


SILENT: Records = {"friend.test": {"A": "192.0.2.1"}}


async def test_a_client_whose_own_dns_is_silent_escapes_no_access_rule(certificate: Path) -> None:
    text = rules(
        '[reverse]\ntimeout_s = 0.3\n[[access]]\naction = "allow"\nreverse_names = [".friend.test"]\n'
        '[[access]]\naction = "deny"\nnetworks = ["203.0.113.0/24"]\n'
    )
    async with DnsServer(SILENT) as dns:
        dns.fail("9.113.0.203.in-addr.arpa", "PTR", Fault.TIMEOUT)
        async with gate(parse_policy(text), certificate, resolver=CachingResolver([dns.address])) as edge:
            for address, reply in (("203.0.113.9", "554 5.7.1 Access denied"), ("198.51.100.9", "250")):
                async with client_at(edge, address) as client:
                    assert (await client.reply()).startswith("220")
                    assert (await client.say("EHLO x.test")).startswith(reply)
