"""What client rules count by, and whom they are about, over a real socket."""

from pathlib import Path

import pytest

from tests.dnsserver import DnsServer
from tests.integration.edge.gate import Client, Gate, limited
from tests.integration.edge.proxied import CLIENT, NEIGHBOUR, OTHER, ZONE, client_at, edge_with, rules
from tests.integration.edge.test_client_control import mail

BOB, CAROL = "bob@ours.test", "carol@ours.test"
# Who sends to whom, and whether it is taken where a rule allows one message in an hour.
Mail = tuple[str, str, str, bool]
A, B = "a@away.test", "b@away.test"


def counting(count_by: str, limit: str = 'messages = "1/h"', match: str = "") -> str:
    text = rules(f'[[clients]]\nname = "one"\ncount_by = "{count_by}"\n{limit}\n{match}\n')
    return text.replace('["bob"]', '["bob", "carol"]')


async def sends(edge: Gate, address: str, sender: str, *recipients: str) -> bool:
    async with client_at(edge, address) as client:
        await client.hello()
        reply = await mail(client, sender, *recipients)
        assert reply.startswith(("250", "450 4.7.1 You send too much"))
        return reply.startswith("250")


@pytest.mark.parametrize(
    ("count_by", "mails"),
    [
        ("address", [(CLIENT, A, BOB, True), (CLIENT, B, CAROL, False), (NEIGHBOUR, A, BOB, True)]),
        ("network", [(CLIENT, A, BOB, True), (NEIGHBOUR, B, CAROL, False), (OTHER, A, BOB, True)]),
        ("sender", [(CLIENT, A, BOB, True), (OTHER, A, CAROL, False), (CLIENT, B, BOB, True), (OTHER, "", BOB, True)]),
        ("recipient", [(CLIENT, A, BOB, True), (OTHER, B, BOB, False), (CLIENT, A, CAROL, True)]),
        ("rule", [(CLIENT, A, BOB, True), (OTHER, B, CAROL, False)]),
        ("login", [(CLIENT, A, BOB, True), (CLIENT, A, BOB, True)]),
    ],
)
async def test_a_rule_counts_by_what_it_says(certificate: Path, count_by: str, mails: list[Mail]) -> None:
    async with edge_with(certificate, counting(count_by)) as edge:
        for address, sender, recipient, taken in mails:
            assert await sends(edge, address, sender, recipient) is taken, (address, sender, recipient)


async def test_an_address_of_ipv6_is_counted_by_itself_and_its_network_as_64(certificate: Path) -> None:
    one, near, far = "2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::1"
    for count_by, taken in (("address", (True, True, True)), ("network", (True, False, True))):
        async with edge_with(certificate, counting(count_by)) as edge:
            assert tuple([await sends(edge, address, A, BOB) for address in (one, near, far)]) == taken


async def test_each_login_has_its_own_count(edge: Gate) -> None:
    limited(edge, '[[clients]]\nname = "each"\ncount_by = "login"\nmessages = "1/h"\n')
    for login, sender, replies in (
        ("alice@ours.test", "alice@ours.test", ("250", "450")),
        ("robot", "x@ours.test", ("250", "450")),
    ):
        async with edge.client("submissions", tls=True) as client:
            await client.hello()
            assert (await client.log_in(login)).startswith("235")
            for reply in replies:
                assert (await mail(client, sender, BOB)).startswith(reply)


async def test_recipients_are_counted_of_all_messages(certificate: Path) -> None:
    async with edge_with(certificate, counting("address", 'recipients_count = "3/h"')) as edge:
        assert await sends(edge, CLIENT, A, BOB, CAROL)
        assert await sends(edge, CLIENT, A, BOB)
        assert not await sends(edge, CLIENT, A, CAROL)
        assert await sends(edge, OTHER, A, CAROL)


@pytest.mark.parametrize(
    ("match", "hit", "missed"),
    [
        ('match = { networks = ["203.0.113.9/32"] }', CLIENT, NEIGHBOUR),
        ('match = { reverse_names = [".good.test"] }', CLIENT, NEIGHBOUR),
        ('match = { reverse_names = ["unknown"] }', NEIGHBOUR, CLIENT),
    ],
)
async def test_a_rule_is_about_the_client_that_fits(certificate: Path, match: str, hit: str, missed: str) -> None:
    async with DnsServer(ZONE) as dns, edge_with(certificate, counting("rule", "refuse = true", match), dns) as edge:
        for address, reply in ((hit, "550 5.7.1 Refused by a rule"), (missed, "250")):
            async with client_at(edge, address) as client:
                await client.hello()
                assert (await mail(client, A, BOB)).startswith(reply)


async def says_hello(client: Client, name: str) -> None:
    assert (await client.reply()).startswith("220")
    assert (await client.say(f"EHLO {name}")).startswith("250")


async def test_a_rule_may_be_about_the_name_in_helo(certificate: Path) -> None:
    text = counting("rule", "refuse = true", 'match = { helo_names = [".bulk.test"] }')
    async with edge_with(certificate, text) as edge:
        for name, reply in (("a.bulk.test", "550"), ("a.other.test", "250")):
            async with client_at(edge, CLIENT) as client:
                await says_hello(client, name)
                assert (await mail(client, A, BOB)).startswith(reply)


@pytest.mark.parametrize(
    ("temporary", "code"), [("", "450 4.7.1"), ("temporary = true", "450"), ("temporary = false", "550 5.7.1")]
)
async def test_a_rate_is_temporary_unless_the_rule_says_otherwise(certificate: Path, temporary: str, code: str) -> None:
    text = counting("rule", f'messages = "1/h"\n{temporary}\ntext = "Enough"')
    async with edge_with(certificate, text) as edge, client_at(edge, CLIENT) as client:
        await client.hello()
        assert (await mail(client, A, BOB)).startswith("250")
        assert (await mail(client, A, BOB)).startswith(code)


async def test_all_rules_that_fit_hold_together(certificate: Path) -> None:
    more = '[[clients]]\nname = "two"\ncount_by = "rule"\nmessages = "2/h"\n'
    async with edge_with(certificate, counting("sender") + more) as edge:
        assert await sends(edge, CLIENT, A, BOB)
        assert not await sends(edge, CLIENT, A, BOB)
        assert await sends(edge, CLIENT, B, BOB)
        # What the first rule refused was not counted by the second.
        assert not await sends(edge, CLIENT, "c@away.test", BOB)
