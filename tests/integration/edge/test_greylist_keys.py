"""Each key of `greylist` over a real socket. Time passes by a clock of the tests' own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.policy import parse_policy
from shared.reply import Reply
from shared.state.memory import MemoryState
from tests.dnsserver import DnsServer
from tests.integration.edge.gate import Gate, gate
from tests.integration.edge.proxied import CLIENT, NEIGHBOUR, ZONE, client_at, edge_with, rules
from tests.integration.edge.test_bans import Clock
from tests.unit.services.edge.lookups.test_country import country, write

DEFERRED = "450 4.7.1 Greylisted, try again in "


@asynccontextmanager
async def greylisting(certificate: Path, keys: str) -> AsyncIterator[tuple[Gate, Clock]]:
    clock = Clock()
    text = rules(f"[greylist]\nenabled = true\n{keys}\n")
    async with gate(parse_policy(text), certificate, state=MemoryState(clock)) as edge:
        edge.defences.greylist._clock = edge.defences.greylist._learning._clock = clock
        edge.judge_all(Reply(250, "2.0.0", "queued"))
        yield edge, clock


async def rcpt(edge: Gate, sender: str = "x@away.test", address: str = CLIENT, *, helo: str = "client.test") -> str:
    async with client_at(edge, address) as client:
        assert (await client.reply()).startswith("220")
        assert (await client.say(f"EHLO {helo}")).startswith("250")
        assert (await client.say(f"MAIL FROM:<{sender}>")).startswith("250")
        return await client.say("RCPT TO:<bob@ours.test>")


async def delivered(edge: Gate, sender: str) -> None:
    async with client_at(edge, CLIENT) as client:
        await client.hello()
        await client.say(f"MAIL FROM:<{sender}>")
        assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    await edge.defences.greylist.close(5)


async def test_a_try_waits_as_long_as_the_policy_says(certificate: Path) -> None:
    async with greylisting(certificate, "wait_s = 300") as (edge, clock):
        assert (await rcpt(edge)).startswith(DEFERRED + "300 seconds")
        clock.now_s += 299
        assert (await rcpt(edge)).startswith(DEFERRED + "1 seconds")
        clock.now_s += 2
        assert (await rcpt(edge)).startswith("250")


async def test_whoever_comes_again_too_late_begins_anew(certificate: Path) -> None:
    async with greylisting(certificate, "wait_s = 60\nretry_within_s = 3600") as (edge, clock):
        assert (await rcpt(edge)).startswith(DEFERRED)
        clock.now_s += 3601
        assert (await rcpt(edge)).startswith(DEFERRED + "60 seconds")
        clock.now_s += 3599
        assert (await rcpt(edge)).startswith("250")


async def test_what_passed_is_remembered_for_so_long(certificate: Path) -> None:
    async with greylisting(certificate, "wait_s = 0\nretry_within_s = 3600\nremember_s = 7200") as (edge, clock):
        assert (await rcpt(edge)).startswith(DEFERRED)
        assert (await rcpt(edge)).startswith("250")
        clock.now_s += 7100
        assert (await rcpt(edge)).startswith("250")
        clock.now_s += 7100  # it was seen in between
        assert (await rcpt(edge)).startswith("250")
        clock.now_s += 7300
        assert (await rcpt(edge)).startswith(DEFERRED)


@pytest.mark.parametrize("count", [1, 3])
async def test_a_network_is_allowed_after_so_many_clean_messages(certificate: Path, count: int) -> None:
    async with greylisting(certificate, f"wait_s = 0\nallow_after = {count}") as (edge, _):
        for name in "abc"[:count]:
            assert (await rcpt(edge, f"{name}@away.test")).startswith(DEFERRED)
            assert (await rcpt(edge, f"{name}@away.test")).startswith("250")
            await delivered(edge, f"{name}@away.test")
        assert (await rcpt(edge, "new@other.test", NEIGHBOUR)).startswith("250")


@pytest.mark.parametrize(
    ("exempt", "passes", "waits"),
    [
        ('{ reverse_names = [".good.test"] }', {"address": CLIENT}, {"address": NEIGHBOUR}),
        ('{ helo_names = ["mx.partner.test"] }', {"helo": "mx.partner.test"}, {"helo": "mx.partner.test.evil.test"}),
        ('{ networks = ["203.0.113.9/32"] }', {"address": CLIENT}, {"address": NEIGHBOUR}),
    ],
)
async def test_clients_may_be_exempt_by_what_is_known_of_them(
    certificate: Path, exempt: str, passes: dict[str, str], waits: dict[str, str]
) -> None:
    text = rules(f"[greylist]\nenabled = true\nexempt = [{exempt}]\n")
    async with DnsServer(ZONE) as dns, edge_with(certificate, text, dns) as edge:
        assert (await rcpt(edge, **passes)).startswith("250")
        assert (await rcpt(edge, **waits)).startswith(DEFERRED)


async def test_clients_may_be_exempt_by_country(certificate: Path, tmp_path: Path) -> None:
    write(tmp_path / "c.mmdb", {"203.0.113.0/24": country("DE"), "198.51.100.0/24": country("FR")})
    policy = parse_policy(rules('[greylist]\nenabled = true\nexempt = [{ countries = ["DE"] }]\n'))
    async with gate(policy, certificate, country_database=tmp_path / "c.mmdb") as edge:
        assert (await rcpt(edge)).startswith("250")
        assert (await rcpt(edge, address="198.51.100.7")).startswith(DEFERRED)
