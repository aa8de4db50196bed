"""A domain with all that belongs to it: a zone, an https server with its MTA-STS policy, next hops, delivery, the console."""

import asyncio
import contextlib
import copy
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from sqlalchemy import insert

from services.console.actions.desk import Desk
from services.console.actions.domains import Fetching, check_domains
from services.console.database import Database
from services.console.domain_check.check import Check
from services.console.identity.rights import on_this_host
from services.console.settings import ConsoleSettings, DatabaseSettings
from services.console.tables import dkim_keys
from services.delivery.app import DeliveryService
from services.delivery.settings import DeliverySettings
from shared.settings import DnsSettings, HealthSettings
from tests.certificates import signed, written
from tests.dnsserver import DnsServer
from tests.integration.delivery.test_service import Neighbours
from tests.nexthop import NextHop
from tests.rabbit import Rabbit

DOMAIN = "ours.test"
OUTGOING = "192.0.2.25"
PTR = "25.2.0.192.in-addr.arpa"
RSA, ED = "v=DKIM1; k=rsa; p=AAAA", "v=DKIM1; k=ed25519; p=BBBB"
STS = "version: STSv1\r\nmode: enforce\r\nmx: *.gate.test\r\nmax_age: 2592000\r\n"
Zone = dict[str, dict[str, str | list[str]]]

# All is well in it.
ZONE: Zone = {
    DOMAIN: {"MX": "10 mx.gate.test.", "TXT": [f"v=spf1 ip4:{OUTGOING} -all", "some-proof=1"]},
    "mx.gate.test": {"A": "192.0.2.10"},
    "gate.example": {"A": OUTGOING},
    "hop.test": {"A": "127.0.0.1"},
    PTR: {"PTR": "gate.example."},
    f"rsa._domainkey.{DOMAIN}": {"TXT": RSA},
    f"ed._domainkey.{DOMAIN}": {"TXT": ED},
    f"_dmarc.{DOMAIN}": {"TXT": f"v=DMARC1; p=reject; rua=mailto:reports@{DOMAIN}"},
    f"_mta-sts.{DOMAIN}": {"TXT": "v=STSv1; id=20261124"},
    f"mta-sts.{DOMAIN}": {"A": "127.0.0.1"},
    f"_smtp._tls.{DOMAIN}": {"TXT": f"v=TLSRPTv1; rua=mailto:reports@{DOMAIN}"},
    "2.0.0.127.bl.test": {"A": "127.0.0.2"},
}


def zone_with(changes: dict[str, dict[str, str | list[str]] | None]) -> Zone:
    """Return the zone with records of these names replaced, type by type, or none of them at all."""
    zone = copy.deepcopy(ZONE)
    for name, records in changes.items():
        if records is None:
            del zone[name]
        else:
            zone[name] = zone.get(name, {}) | records
    return zone


@dataclass
class Scene:
    """What a test changes, and the check itself."""

    dns: DnsServer
    neighbours: Neighbours
    hop: NextHop
    expired: NextHop
    desk: Desk
    fetching: Fetching
    sts: str = STS
    version: int = 0

    async def apply(self, route: str) -> None:
        """Make a policy with this route for the domain the one in force."""
        self.version += 1
        await self.neighbours.apply(policy(route), self.version)

    async def check(self) -> list[Check]:
        return (await check_domains(self.desk, [DOMAIN], self.fetching))[DOMAIN]


def policy(route: str) -> str:
    return f"""
[gateway]
names = ["mx.gate.test", "alias.gate.test"]
addresses = ["{OUTGOING}"]
[[dns_lists.lists]]
zone = "bl.test"
[delivery]
tls = "verified"
tls_authority = "ca.pem"
[domains."{DOMAIN}"]
route = "{route}"
recipients = ["anna", "ben"]
"""


@contextlib.asynccontextmanager
async def scene(rabbit: Rabbit, database: Database, folder: Path) -> AsyncIterator[Scene]:
    """Set all of it up."""
    authority = signed("an authority", authority=True)
    good = written(folder / "good.pem", signed("hop", "hop.test", by=authority))
    old = written(folder / "expired.pem", signed("hop", "hop.test", by=authority, days=-1))
    web_file = written(folder / "web.pem", signed("web", f"mta-sts.{DOMAIN}", by=authority))
    trusted = written(folder / "ca.pem", authority)
    trusted.chmod(0o600)
    async with contextlib.AsyncExitStack() as stack:
        dns = await stack.enter_async_context(DnsServer(ZONE))
        hop = await stack.enter_async_context(NextHop(tls=True, certificate=good))
        expired = await stack.enter_async_context(NextHop(tls=True, certificate=old))
        neighbours = await stack.enter_async_context(Neighbours(rabbit))
        settings = _console_settings(rabbit, database, dns)
        desk = Desk(settings, database, on_this_host("test"))
        made = Scene(dns, neighbours, hop, expired, desk, Fetching())
        made.fetching = Fetching(await stack.enter_async_context(_web(made, web_file)), trusted)
        await _write_keys(database)
        await made.apply(f"smtp://hop.test:{hop.port}")
        await stack.enter_async_context(_delivery(rabbit, folder, dns))
        yield made
        await desk.close()


def _console_settings(rabbit: Rabbit, database: Database, dns: DnsServer) -> ConsoleSettings:
    return ConsoleSettings(
        hostname="console.gate.test",
        broker=rabbit.settings("console"),
        database=DatabaseSettings(url=database.url.render_as_string(hide_password=False)),
        dns=DnsSettings(nameservers=[dns.address], timeout_s=2),
        health=HealthSettings(port=0),
    )


@contextlib.asynccontextmanager
async def _delivery(rabbit: Rabbit, folder: Path, dns: DnsServer) -> AsyncIterator[None]:
    settings = DeliverySettings(
        hostname="gate.example",
        broker=rabbit.settings("delivery"),
        health=HealthSettings(port=0),
        dns=DnsSettings(nameservers=[dns.address]),
        data_dir=folder,
        secrets_dir=folder,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(DeliveryService(settings).run(stop))
    try:
        yield
    finally:
        stop.set()
        assert await task == 0


@contextlib.asynccontextmanager
async def _web(made: Scene, certificate: Path) -> AsyncIterator[int]:
    """Serve the scene's MTA-STS policy over https; give the port."""

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path != "/.well-known/mta-sts.txt":
            return web.Response(status=404)
        return web.Response(text=made.sts, content_type="text/plain")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _write_keys(database: Database) -> None:
    rows = [
        {
            "domain": DOMAIN,
            "selector": selector,
            "algorithm": algorithm,
            "private_key": "",
            "record": record,
            "state": "active",
            "made_at": time.time(),
            "state_at": time.time(),
        }
        for selector, algorithm, record in (("rsa", "rsa", RSA), ("ed", "ed25519", ED))
    ]
    async with database.writing() as connection:
        await connection.execute(insert(dkim_keys), rows)
