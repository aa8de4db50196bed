"""Keys are changed by the command while two delivery processes sign, one is restarted, and DNS is behind or silent.

Whatever arrives holds by what DNS has at that moment, and the trace tells of each message by which keys it was signed.
"""

import asyncio
import contextlib
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import dkim
import pytest
from sqlalchemy import update

from services.console.database import Database
from services.console.tables import dkim_keys
from shared.dkim_keys import KeyState
from shared.event import Event
from tests.dnsserver import DnsServer, Fault
from tests.failure.signing import DOMAIN, Arrival, Keeper, KeyZone, Process, SteadyMail
from tests.integration.console.command import Gatepost
from tests.integration.delivery.verifiers import opendkim, scan, verifying_rspamd
from tests.rabbit import Rabbit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SAMPLE = 3
Keys = list[dict[str, Any]]


class House:
    """The administrator's side, and all that is under load."""

    def __init__(self, folder: Path, rabbit: Rabbit, console_dns: DnsServer, dns: DnsServer, keeper: Keeper) -> None:
        self.zone = KeyZone(console_dns, dns)
        self.dns = dns
        self.keeper = keeper
        self.mail = SteadyMail(rabbit, keeper)
        self.one, self.two = (Process(f"{name}.example", folder, rabbit, dns.address) for name in ("one", "two"))
        self.gatepost = Gatepost(folder, rabbit)
        text = self.gatepost.file.read_text()
        self.gatepost.file.write_text(text.replace("nameservers = []", f'nameservers = ["{console_dns.address}"]'))

    async def dkim(self, *arguments: str, refused: bool = False) -> Any:
        """Run `gatepost dkim`; return what it says to programs, or to people where it refuses."""
        done = await asyncio.to_thread(self.gatepost.process, "dkim", *arguments, *([] if refused else ["--json"]))
        assert done.returncode == (1 if refused else 0), done.stdout + done.stderr
        return done.stdout + done.stderr if refused else json.loads(done.stdout)

    async def unsigned(self, why: str) -> None:
        """See that mail leaves unsigned, and why."""
        sent = len(self.mail.sent)
        await self.mail.comes(lambda one: one.id in self.mail.sent[sent:])
        await self.mail.until(lambda: self.mail.last_attempt(self.mail.sent[sent]) is not None)
        facts = self.mail.last_attempt(self.mail.sent[sent])
        assert facts is not None
        assert facts["dkim"]["unsigned"] == why

    async def signed_by(self, keys: Keys) -> None:
        """Wait until both processes sign with keys."""
        selectors = selectors_of(keys)
        for name in (self.one.name, self.two.name):
            await self.mail.comes(partial(_is_signed_by, name, selectors))

    async def end_grace(self) -> None:
        """Let the days pass for which retired keys are kept."""

        async def shorten(database: Database) -> None:
            async with database.writing() as connection:
                retired = update(dkim_keys).where(dkim_keys.c.state == KeyState.RETIRED.value)
                await connection.execute(retired.values(keep_until=time.time() - 1))

        await asyncio.to_thread(self.gatepost.with_database, shorten)


def _is_signed_by(process: str, selectors: set[str], arrival: Arrival) -> bool:
    return arrival.process == process and set(arrival.selectors) == selectors


def selectors_of(keys: Iterable[dict[str, Any]]) -> set[str]:
    return {key["selector"] for key in keys}


@pytest.fixture
async def house(tmp_path: Path, rabbit: Rabbit) -> AsyncIterator[House]:
    async with DnsServer() as console_dns, DnsServer() as dns, Keeper().listening() as keeper:
        made = House(tmp_path, rabbit, console_dns, dns, keeper)
        try:
            yield made
        finally:
            await asyncio.gather(made.one.end(signal.SIGKILL), made.two.end(signal.SIGKILL))


async def test_nothing_arrives_with_a_signature_whose_key_is_not_published(
    house: House, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with house.mail.flowing():
        await asyncio.gather(house.one.start(), house.two.start())
        old = await _first_keys(house)
        signed_from = time.time()
        new = await _next_keys_that_dns_has_late(house, old)
        await _dns_is_silent_while_a_process_begins(house, old)
        house.zone.publish(new)
        await house.signed_by(new)
        await _old_records_go(house, old, new)
    arrivals = house.keeper.arrivals
    print(f"\n    {len(arrivals)} arrivals of {len(house.mail.sent)}: {_counts(arrivals)}")
    for arrival in arrivals:
        _check(house, arrival, may_be_unsigned=arrival.at < signed_from)
    # What one process was at when it was killed comes again.
    assert len(arrivals) - len(house.mail.sent) <= 50
    await _others_verify(house, _sample(arrivals), tmp_path, tmp_path_factory)


async def _first_keys(house: House) -> Keys:
    """Make and publish the first pair. As long as no key can be used, mail leaves unsigned, and the trace says so."""
    await house.unsigned("no-keys")
    keys: Keys = await house.dkim("add", DOMAIN)
    await house.unsigned("no-keys")
    house.zone.publish(keys, only_at="console")
    await house.dkim("switch", DOMAIN)
    await house.mail.comes(lambda arrival: house.zone.at(arrival.at) == {})
    await house.unsigned("unpublished")
    house.zone.publish(keys)
    await house.signed_by(keys)
    return keys


async def _next_keys_that_dns_has_late(house: House, old: Keys) -> Keys:
    """Make the next pair and let it sign as soon as the command allows that; delivery's DNS is behind even then."""
    new: Keys = await house.dkim("rotate", DOMAIN)
    assert f"{new[0]['name']}: absent" in await house.dkim("switch", DOMAIN, refused=True)
    house.zone.publish(new[:1])
    restarting = asyncio.create_task(_restart(house.two, signal.SIGTERM))
    assert f"{new[1]['name']}: absent" in await house.dkim("switch", DOMAIN, refused=True)
    await restarting
    house.zone.publish(new[1:], only_at="console")
    switched = await house.dkim("switch", DOMAIN)
    assert selectors_of(switched["retired"]) == selectors_of(old)
    # The RSA key that is published everywhere, and the retired one in place of the other.
    mixed = [new[0] if new[0]["algorithm"] == "rsa" else new[1], next(k for k in old if k["algorithm"] != "rsa")]
    await house.signed_by(mixed)
    return new


async def _dns_is_silent_while_a_process_begins(house: House, old: Keys) -> None:
    """Let delivery's DNS answer nothing: who has seen the keys goes on, who begins then holds its mail."""
    house.dns.fail("*", "TXT", Fault.TIMEOUT)
    await house.two.end(signal.SIGKILL)
    house.mail.may_be_untold(house.two.name)
    await house.two.start()
    ed = next(key["selector"] for key in old if key["algorithm"] != "rsa")
    await house.mail.comes(lambda arrival: arrival.process == house.one.name and ed in arrival.selectors, 40)
    await house.mail.until(lambda: _is_any_held(house))
    house.dns.heal()


async def _old_records_go(house: House, old: Keys, new: Keys) -> None:
    """Take the old records out the moment the command says that they may go, while a process begins again."""
    assert "its record must stay, until" in await house.dkim("prune", refused=True)
    await house.end_grace()
    restarting = asyncio.create_task(_restart(house.one, signal.SIGTERM))
    pruned = await house.dkim("prune")
    house.zone.remove(pruned["forgotten"])
    assert selectors_of(pruned["forgotten"]) == selectors_of(old)
    await restarting
    await house.signed_by(new)


async def _restart(process: Process, number: signal.Signals) -> None:
    await process.end(number)
    await process.start()


def _is_any_held(house: House) -> bool:
    """Whether a message was put off because nobody knows whether the keys are published."""
    attempts = [event for events in house.mail.attempts.values() for event in events]
    return any("DNS does not say whether the DKIM keys" in str(event.facts["outcomes"]) for event in attempts)


def _check(house: House, arrival: Arrival, *, may_be_unsigned: bool) -> None:
    records = house.zone.at(arrival.at)
    names = [f"{selector}._domainkey.{DOMAIN}" for selector in arrival.selectors]
    assert set(names) <= records.keys(), f"{names} while DNS had {sorted(records)}"
    if not (may_be_unsigned and not names):
        assert re.findall(rb"a=(\S+-sha256);", arrival.message) == [b"rsa-sha256", b"ed25519-sha256"]
    verifier = dkim.DKIM(arrival.message)
    for at in range(len(names)):
        assert verifier.verify(idx=at, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")].encode())
    if arrival.id not in house.mail.untold:
        attempts = house.mail.attempts[arrival.id]
        assert arrival.selectors in [_told_selectors(event) for event in attempts], [event.facts for event in attempts]


def _told_selectors(event: Event) -> tuple[str, ...]:
    signing: Any = event.facts.get("dkim", {})
    return tuple(key["selector"] for key in signing.get("by", []))


def _counts(arrivals: list[Arrival]) -> dict[str, int]:
    ways = [" ".join(arrival.selectors) or "(none)" for arrival in arrivals]
    return {way: ways.count(way) for way in dict.fromkeys(ways)}


def _sample(arrivals: list[Arrival]) -> list[Arrival]:
    """Return some of each way to sign."""
    ways: dict[tuple[str, ...], list[Arrival]] = {}
    for arrival in arrivals:
        if arrival.selectors:
            ways.setdefault(arrival.selectors, []).append(arrival)
    return [arrival for way in ways.values() for arrival in (*way[:SAMPLE], *way[-SAMPLE:])]


async def _others_verify(house: House, sample: list[Arrival], folder: Path, factory: pytest.TempPathFactory) -> None:
    """See that OpenDKIM and Rspamd find both signatures of each right."""
    records = house.zone.ever
    async with DnsServer({name: {"TXT": record} for name, record in records.items()}) as dns:
        engine = verifying_rspamd(factory.mktemp("rspamd"), dns.address)
        with contextlib.ExitStack() as stack:
            stack.callback(engine.close)
            await asyncio.to_thread(engine.start)
            for arrival in sample:
                said = await asyncio.to_thread(opendkim, folder, arrival.message, records)
                passed = re.findall(r"dkim=pass [^;]*header\.s=(\S+)", said)
                assert sorted(passed) == sorted(arrival.selectors), said
                symbols = await asyncio.to_thread(scan, engine, arrival.message)
                wanted = sorted(f"{DOMAIN}:s={selector}" for selector in arrival.selectors)
                assert sorted(symbols["R_DKIM_ALLOW"]) == wanted, symbols
