"""`gatepost dkim`, on a real broker; DNS is a zone file that the test writes, and real nameservers."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from dns.message import Message, QueryMessage
from sqlalchemy import func, select, update

from services.console.actions.key_records import is_published, look_up
from services.console.database import Database
from services.console.tables import audit, dkim_keys, key_books
from services.delivery.outgoing.keyring import Keyring
from shared.broker.connect import Link
from shared.dkim_keys import KeyState, RecordState
from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer, Fault, Records
from tests.integration.console.command import Gatepost
from tests.rabbit import Rabbit

DOMAIN = "example.org"


class House:
    """The command, and a zone that it asks."""

    def __init__(self, gatepost: Gatepost, folder: Path) -> None:
        self.gatepost = gatepost
        self._zone = folder / f"{DOMAIN}.zone"
        self.publish([])
        text = gatepost.file.read_text()
        gatepost.file.write_text(text.replace("nameservers = []", f'nameservers = []\nzone_files = ["{self._zone}"]'))

    def publish(self, lines: Iterable[str]) -> None:
        """Have DNS hold these lines and no others."""
        soa = f"$ORIGIN {DOMAIN}.\n@ 300 IN SOA ns.{DOMAIN}. admin.{DOMAIN}. 1 3600 600 86400 60\n"
        self._zone.write_text(soa + "".join(f"{line}\n" for line in lines))

    def fine(self, *arguments: str) -> str:
        done = self.gatepost("dkim", *arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def refused(self, *arguments: str) -> str:
        done = self.gatepost("dkim", *arguments)
        assert done.exit_code == 1, done.output
        return " ".join(done.output.split())

    def add(self, *arguments: str) -> list[str]:
        """Make keys, and return the lines for the zone file that the command printed."""
        return [line for line in self.fine(*arguments).splitlines() if " IN TXT " in line]

    def states(self) -> dict[str, str]:
        return {key["selector"]: key["state"] for key in self.gatepost.json("dkim", "list")}

    def end_grace(self) -> None:
        """Let all the time pass for which retired keys are kept."""

        async def shorten(database: Database) -> None:
            async with database.writing() as connection:
                retired = update(dkim_keys).where(dkim_keys.c.state == KeyState.RETIRED.value)
                await connection.execute(retired.values(keep_until=1.0))

        self.gatepost.with_database(shorten)


@pytest.fixture
def house(gatepost: Gatepost, tmp_path: Path) -> House:
    return House(gatepost, tmp_path)


def at_delivery(rabbit: Rabbit, look: Callable[[Keyring], Awaitable[Any]]) -> Any:
    async def read() -> Any:
        link = Link(rabbit.settings("delivery"), "test-keys")
        keyring = Keyring(link)
        link.start()
        try:
            await keyring.wait_read(10)
            return await look(keyring)
        finally:
            await link.close()

    return asyncio.run(read())


def signing(gatepost: Gatepost) -> list[list[str]]:
    """Return the selectors that sign in delivery, by algorithm, once it has the last book."""

    async def newest(database: Database) -> int:
        async with database.reading() as connection:
            return int(await connection.scalar(select(func.max(key_books.c.version))) or 0)

    version = gatepost.with_database(newest)

    async def look(keyring: Keyring) -> list[list[str]]:
        async with asyncio.timeout(10):
            while keyring.version < version:
                await asyncio.sleep(0.02)
        return [[key.selector for key in keys] for keys in keyring.signatories_for(DOMAIN)]

    found: list[list[str]] = at_delivery(gatepost.rabbit, look)
    return found


def test_delivery_is_ready_at_once_when_there_are_no_keys(rabbit: Rabbit) -> None:
    async def look(keyring: Keyring) -> bool:
        return keyring.sign

    assert at_delivery(rabbit, look) is False


def test_keys_are_made_published_switched_rotated_and_forgotten(house: House) -> None:
    first = house.add("add", DOMAIN)
    assert [line.split()[0] for line in first] == [f"{selector}._domainkey.{DOMAIN}." for selector in house.states()]
    rsa, ed = house.states()
    assert re.fullmatch(r"gp20\d\da-rsa", rsa)
    assert ed == rsa.replace("rsa", "ed")
    said = house.refused("switch", DOMAIN)
    assert f"nothing is switched, for DNS does not have all records: {rsa}._domainkey.{DOMAIN}: absent" in said
    house.publish(first[:1])
    assert rsa not in house.refused("switch", DOMAIN)
    assert set(house.states().values()) == {"pending"}
    house.publish(first)
    assert "sign for example.org from now on" in house.fine("switch", DOMAIN)
    assert set(house.states().values()) == {"active"}
    assert signing(house.gatepost) == [[rsa], [ed]]

    second = house.add("rotate", DOMAIN)
    next_rsa, next_ed = (name.replace("a-", "b-") for name in (rsa, ed))
    house.publish(first + second)
    assert f"{rsa} is retired. Leave its record in DNS until" in house.fine("switch", DOMAIN)
    assert signing(house.gatepost) == [[next_rsa, rsa], [next_ed, ed]]

    assert "its record must stay, until" in house.refused("prune")
    house.end_grace()
    assert f"{rsa}._domainkey.{DOMAIN}: forgotten. Its TXT record may be taken out" in house.fine("prune", DOMAIN)
    assert house.states() == {next_rsa: "active", next_ed: "active"}
    assert signing(house.gatepost) == [[next_rsa], [next_ed]]
    assert "There are no retired keys." in house.fine("prune")


def test_a_domain_can_stop_to_sign(house: House) -> None:
    house.publish(house.add("add", DOMAIN, "--selector", "mine"))
    house.fine("switch", DOMAIN)
    assert house.add("rotate", DOMAIN)
    assert "forgotten" in house.fine("retire", "--pending", DOMAIN)
    assert house.states() == {"mine-rsa": "active", "mine-ed": "active"}
    said = house.fine("retire", DOMAIN, "--grace", "1d")
    assert "example.org signs no more." in said
    assert "Warning: signatures of the last seven days" in said
    assert house.states() == {"mine-rsa": "retired", "mine-ed": "retired"}
    assert signing(house.gatepost) == []
    assert "no keys that sign or wait" in house.refused("retire", DOMAIN)


def test_show_and_check_say_what_dns_has(house: House) -> None:
    lines = house.add("add", DOMAIN)
    rsa, ed = house.states()
    house.publish([lines[0], lines[1].replace("p=", "p=AAAA")])
    shown = house.fine("show", DOMAIN)
    assert lines[0] in shown
    assert "published at our resolver" in shown
    assert "other-key at our resolver" in shown
    said = house.refused("check", DOMAIN)
    assert f"{rsa}._domainkey.{DOMAIN}: published" in said
    assert f"{ed}._domainkey.{DOMAIN}: NOT as it should be" in said
    house.publish(lines)
    checked = house.gatepost.json("dkim", "check", DOMAIN)
    assert [key["published"] for key in checked] == [True, True]


def test_what_could_not_work_is_refused(house: House) -> None:
    assert "has no DKIM keys" in house.refused("show", DOMAIN)
    assert "no keys that wait" in house.refused("switch", DOMAIN)
    assert "make the first: gatepost dkim add" in house.refused("rotate", DOMAIN)
    assert "is not a domain name" in house.refused("add", "no domain")
    assert "is an address" in house.refused("add", "[192.0.2.1]")
    assert "--selector" in house.refused("add", DOMAIN, "--selector", "-x")
    lines = house.add("add", DOMAIN, "--selector", "x")
    assert "keys that wait for their records" in house.refused("add", DOMAIN)
    house.publish(lines)
    house.fine("switch", DOMAIN)
    assert "make the next with gatepost dkim rotate" in house.refused("add", DOMAIN)
    assert "keys with the selector x-ed already" in house.refused("rotate", DOMAIN, "--selector", "x")
    assert house.gatepost("dkim", "switch", DOMAIN, "--grace", "soon").exit_code == 2


def test_no_private_key_is_shown_and_the_audit_names_who_did_what(house: House) -> None:
    house.add("add", DOMAIN)
    for command in ("list", f"show {DOMAIN}", f"show {DOMAIN} --json", "list --json"):
        assert "PRIVATE" not in house.fine(*command.split())

    async def rows(database: Database) -> list[tuple[str, ...]]:
        async with database.reading() as connection:
            return [
                tuple(row) for row in await connection.execute(select(audit.c.action, audit.c.target, audit.c.details))
            ]

    ((action, target, details),) = house.gatepost.with_database(rows)
    assert (action, target) == ("dkim add", DOMAIN)
    assert "-rsa" in details
    assert "PRIVATE" not in details


RECORD = "v=DKIM1; k=ed25519; p=A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
NAME = f"s._domainkey.{DOMAIN}"
ZONE: Records = {
    DOMAIN: {"NS": ["ns1.test.", "ns2.test."]},
    "ns1.test": {"A": "127.0.0.1"},
    "ns2.test": {"A": "127.0.0.2"},
    NAME: {"TXT": RECORD},
}


class Authoritative(DnsServer):
    """A nameserver of the zone itself."""

    def _truthful(self, query: QueryMessage) -> Message:
        reply = super()._truthful(query)
        reply.flags |= 0x0400  # AA
        return reply


async def looks(second: Callable[[DnsServer], None]) -> tuple[bool, list[RecordState | None]]:
    """Return what is found with two nameservers, of which something is done to the second."""
    async with Authoritative(ZONE) as one, Authoritative(ZONE, host="127.0.0.2", port=one.port) as other:
        second(other)
        resolver = CachingResolver([one.address])
        try:
            found = await look_up(resolver, NAME, RECORD, port=one.port)
        finally:
            await resolver.close()
    return is_published(found), [look.state for look in found]


PUBLISHED = RecordState.PUBLISHED


async def test_each_nameserver_of_the_zone_is_asked() -> None:
    assert await looks(lambda _: None) == (True, [PUBLISHED, PUBLISHED, PUBLISHED])


async def test_one_nameserver_that_is_behind_keeps_a_key_from_signing() -> None:
    assert await looks(lambda other: other.replace({})) == (False, [PUBLISHED, PUBLISHED, RecordState.ABSENT])
    stale = {NAME: {"TXT": RECORD.replace("p=A", "p=B")}}
    assert await looks(lambda other: other.replace(stale)) == (False, [PUBLISHED, PUBLISHED, RecordState.OTHER])


async def test_a_nameserver_that_does_not_answer_keeps_nobody_waiting() -> None:
    broken = await looks(lambda other: other.fail(NAME, "TXT", Fault.SERVFAIL))
    assert broken == (True, [PUBLISHED, PUBLISHED, None])
    assert (await looks(lambda other: other.fail(NAME, "TXT", Fault.MALFORMED)))[0] is True
