"""Reports on TLS, from delivery's event to a mail in delivery's queue or a web server: real broker, DNS and https."""

import asyncio
import contextlib
import gzip
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import select

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.identity.rights import on_this_host
from services.console.reports.gathered import Gathered
from services.console.settings import ConsoleSettings
from services.console.tables import events, messages, tls_reports, tls_seen
from services.console.tls_reports.daily import TlsReports
from services.console.tls_reports.post import Poster, PostFailed
from shared.broker.topology import Queue
from shared.dns.reach import may_connect
from shared.dns.resolver import CachingResolver
from shared.event import Event, EventKind, Stage, encode_events
from shared.ids import new_id
from shared.policy.delivery import TlsReportRules
from shared.tls_seen import NOTHING_PUBLISHED, TlsResult, TlsSeen, seen_facts
from shared.wire import read_envelope
from tests.certificates import signed, written
from tests.dnsserver import DnsServer, Fault
from tests.integration.console.test_dmarc_reports import taken
from tests.integration.console.test_recorder import count, publishing, recording, tell, until, waiting
from tests.rabbit import Rabbit

DAY = 20_000
DAY_S = 86_400
NIGHT = (DAY + 1) * DAY_S + 3600.0
MORNING = NIGHT + 4 * 3600
ON = TlsReportRules(enabled=True)
WEB = "reports.test"


def row(domain: str = "bank.test", day: int = DAY, result: TlsResult = TlsResult.SUCCESS) -> dict[str, object]:
    seen = TlsSeen(domain, NOTHING_PUBLISHED, result, f"mx.{domain}", "192.0.2.1", "198.51.100.7")
    return {"uid": new_id(), "day": day, "domain": domain, "facts": json.dumps(seen_facts(seen))}


@dataclass
class WebServer:
    """Takes reports. status, location: of its answers. silent: it takes them and does not answer."""

    port: int = 0
    status: int = 201
    location: str = ""
    silent: bool = False
    got: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append((str(request.rel_url), request.content_type, await request.read()))
        if self.silent:
            await asyncio.Event().wait()
        return web.Response(status=self.status, headers={"Location": self.location} if self.location else {})


@dataclass
class World:
    """A recorder's side: its database, DNS, a web server that it may post to, and the time."""

    database: Database
    desk: Desk
    dns: DnsServer
    resolver: CachingResolver
    web: WebServer
    authorities: Path
    now: float = MORNING
    posters: list[Poster] = field(default_factory=list)

    def reports(self) -> TlsReports:
        return TlsReports(self.desk, self.resolver, self.poster(), lambda: ON, lambda: self.now)

    def poster(self, allowed: Callable[[str], bool] = lambda _: True, deadline_s: float = 5.0) -> Poster:
        made = Poster(self.resolver, allowed, authorities=self.authorities, deadline_s=deadline_s)
        self.posters.append(made)
        return made

    def url(self, path: str = "/tls") -> str:
        return f"https://{WEB}:{self.web.port}{path}"

    async def gathered(self, *rows: dict[str, object]) -> None:
        async with self.database.writing() as connection:
            await connection.execute(tls_seen.insert(), list(rows))

    async def sent(self) -> list[tuple[str, str]]:
        async with self.database.reading() as connection:
            found = await connection.execute(select(tls_reports.c.domain, tls_reports.c.sent_to).order_by("domain"))
            return [(domain, to) for domain, to in found]


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[WebServer, Path]]:
    authority = signed("authority", authority=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(written(folder / "web.pem", signed("web", WEB, by=authority)))
    server = WebServer()
    app = web.Application()
    app.router.add_post("/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    server.port = runner.addresses[0][1]
    try:
        yield server, written(folder / "ca.pem", authority)
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def world_of(database: Database, rabbit: Rabbit, folder: Path) -> AsyncIterator[World]:
    settings = ConsoleSettings.model_validate(
        {
            "hostname": "mx.gatepost.test",
            "broker": rabbit.settings("console"),
            "health": {"port": 0},
            "database": {"url": "sqlite:///unused"},
        }
    )
    desk = Desk(settings, database, on_this_host("recorder"))
    async with serving(folder) as (server, authorities), DnsServer({WEB: {"A": "127.0.0.1"}}) as dns:
        resolver = CachingResolver([dns.address])
        made = World(database, desk, dns, resolver, server, authorities)
        try:
            yield made
        finally:
            for poster in made.posters:
                await poster.close()
            await desk.close()
            await resolver.close()


@pytest.fixture
async def world(sqlite: Database, rabbit: Rabbit, tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(sqlite, rabbit, tmp_path) as made:
        yield made


async def test_a_day_is_reported_once_by_mail_to_who_asked(rabbit: Rabbit, database: Database, tmp_path: Path) -> None:
    def told(result: TlsResult) -> Event:
        facts = seen_facts(TlsSeen("bank.test", NOTHING_PUBLISHED, result, "mx.bank.test", "192.0.2.1", "198.51.100.7"))
        return Event(new_id(), new_id(), DAY * DAY_S + 5.0, Stage.DELIVERY, "host", EventKind.TLS_SEEN, facts)

    twice = told(TlsResult.SUCCESS)
    batch = [twice, told(TlsResult.SUCCESS), told(TlsResult.EXPIRED)]
    async with recording(rabbit, database), publishing(rabbit, "delivery") as publisher:
        await tell(publisher, encode_events(batch))
        # An event that comes again is the same one.
        await tell(publisher, encode_events([twice]))

        async def all_there() -> bool:
            return await count(database, tls_seen) == 3

        await until(all_there)
    assert (await count(database, events), await count(database, messages)) == (0, 0)
    async with world_of(database, rabbit, tmp_path) as world:
        world.dns.add("_smtp._tls.bank.test", "TXT", "v=TLSRPTv1; rua=mailto:tls@bank.test")
        world.now = DAY * DAY_S + 80_000.0
        assert await world.reports().send_due(ON) == 0, "the day is not over"
        world.now = MORNING
        sent = await asyncio.gather(world.reports().send_due(ON), world.reports().send_due(ON))
        assert sorted(sent) == [0, 1], "two recorders send one report"
        assert await world.reports().send_due(ON) == 0
        assert await world.sent() == [("bank.test", "tls@bank.test")]
    assert await count(database, tls_seen) == 0
    message_type, headers, body = await taken(rabbit)
    assert [one.address for one in read_envelope(message_type, headers).recipients] == ["tls@bank.test"]
    parts = list(message_from_bytes(body).walk())
    content = next(part for part in parts if part.get_content_type() == "application/tlsrpt+gzip")
    report = json.loads(gzip.decompress(content.get_payload(decode=True)))  # type: ignore[arg-type]
    assert report["policies"][0]["summary"] == {
        "total-successful-session-count": 2,
        "total-failure-session-count": 1,
    }


async def test_a_report_is_posted_and_mailed_where_both_are_asked_for(world: World, rabbit: Rabbit) -> None:
    world.dns.add("_smtp._tls.bank.test", "TXT", f"v=TLSRPTv1; rua={world.url('/in?k=1')},mailto:tls@bank.test")
    await world.gathered(row(), row())
    assert await world.reports().send_due(ON) == 1
    [(path, kind, body)] = world.web.got
    assert (path, kind) == ("/in?k=1", "application/tlsrpt+gzip")
    [policy] = json.loads(gzip.decompress(body))["policies"]
    assert policy["summary"]["total-successful-session-count"] == 2
    assert await world.sent() == [("bank.test", f"{world.url('/in?k=1')}, tls@bank.test")]
    await taken(rabbit)


async def test_a_domain_that_asks_for_nothing_gets_nothing(world: World, rabbit: Rabbit) -> None:
    await world.gathered(row(), row("shop.test"))
    assert await world.reports().send_due(ON) == 0
    assert await world.sent() == [("bank.test", ""), ("shop.test", "")]
    assert (await count(world.database, tls_seen), await waiting(rabbit, Queue.DELIVERY)) == (0, 0)


@pytest.mark.parametrize(("rules", "posted"), [(ON, 1), (TlsReportRules(), 0), (None, 0)])
async def test_a_round_sends_what_is_due_where_the_policy_has_reports_on(
    rules: TlsReportRules | None, posted: int, world: World
) -> None:
    world.dns.add("_smtp._tls.bank.test", "TXT", f"v=TLSRPTv1; rua={world.url()}")
    await world.gathered(row())
    await TlsReports(world.desk, world.resolver, world.poster(), lambda: rules, lambda: world.now)._round()
    assert len(world.web.got) == posted


async def test_what_nobody_takes_is_tried_again_after_growing_pauses_and_given_up(world: World) -> None:
    world.dns.add("_smtp._tls.bank.test", "TXT", f"v=TLSRPTv1; rua={world.url()}")
    world.web.status = 503
    await world.gathered(row())
    tries = []
    for _ in range(4 * 30):
        before = len(world.web.got)
        assert await world.reports().send_due(ON) == 0
        tries += [world.now] * (len(world.web.got) - before)
        world.now += 900
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses == sorted(pauses)
    assert 5 <= len(tries) <= 20
    assert tries[-1] - tries[0] > 12 * 3600
    assert await world.sent() == [("bank.test", "")]
    assert await count(world.database, tls_seen) == 0


async def test_a_server_that_is_well_again_gets_the_report(world: World) -> None:
    world.dns.add("_smtp._tls.bank.test", "TXT", f"v=TLSRPTv1; rua={world.url()}")
    world.web.status = 500
    await world.gathered(row())
    assert await world.reports().send_due(ON) == 0
    world.web.status = 200
    assert await world.reports().send_due(ON) == 0, "not at once"
    world.now += 4 * 3600
    assert await world.reports().send_due(ON) == 1
    first, second = world.web.got
    assert first == second, "the same report, under the same id"


async def test_what_dns_cannot_say_now_is_reported_later_and_keeps_no_other(world: World) -> None:
    world.dns.fail("_smtp._tls.bank.test", "TXT", Fault.SERVFAIL)
    world.dns.add("_smtp._tls.shop.test", "TXT", f"v=TLSRPTv1; rua={world.url()}")
    await world.gathered(row(), row("shop.test"))
    assert await world.reports().send_due(ON) == 1
    world.dns.heal()
    world.dns.add("_smtp._tls.bank.test", "TXT", f"v=TLSRPTv1; rua={world.url()}")
    world.resolver.forget("_smtp._tls.bank.test", "TXT")
    world.now += 4 * 3600
    assert await world.reports().send_due(ON) == 1
    assert len(world.web.got) == 2


async def test_what_a_crashed_recorder_had_begun_is_sent_by_another(world: World) -> None:
    world.dns.add("_smtp._tls.bank.test", "TXT", f"v=TLSRPTv1; rua={world.url()}")
    await world.gathered(row())
    assert await Gathered(world.database, tls_seen, tls_reports).claim(DAY, "bank.test", world.now, world.now + 600)
    assert await world.reports().send_due(ON) == 0
    world.now += 600
    assert await world.reports().send_due(ON) == 1


async def test_what_is_told_late_makes_no_second_report(world: World) -> None:
    world.dns.add("_smtp._tls.bank.test", "TXT", f"v=TLSRPTv1; rua={world.url()}")
    await world.gathered(row())
    assert await world.reports().send_due(ON) == 1
    await world.gathered(row())
    assert await world.reports().send_due(ON) == 0
    world.now += 8 * DAY_S
    await world.reports().forget_old()
    assert await count(world.database, tls_seen) == 0


async def test_a_day_has_so_many_domains_and_the_busiest_are_kept(
    database: Database, rabbit: Rabbit, tmp_path: Path
) -> None:
    async with world_of(database, rabbit, tmp_path) as world:
        for name in ("quiet", "busy", "busier"):
            world.dns.add(f"_smtp._tls.{name}.test", "TXT", f"v=TLSRPTv1; rua={world.url('/' + name)}")
        rows = [row("quiet.test"), *(row("busy.test") for _ in range(2)), *(row("busier.test") for _ in range(3))]
        await world.gathered(*rows, row("quiet.test", DAY + 1))
        assert await world.reports().send_due(ON, limit=2) == 2
        assert {path for path, _, _ in world.web.got} == {"/busy", "/busier"}
        assert await count(database, tls_seen) == 1, "of the day that is not over"
        # The places of the day are taken.
        await world.gathered(row("late.test"))
        assert await world.reports().send_due(ON, limit=2) == 0
        assert [domain for domain, _ in await world.sent()] == ["busier.test", "busy.test"]


async def test_a_redirect_is_no_acceptance_and_is_not_followed(world: World) -> None:
    world.web.status, world.web.location = 307, world.url("/elsewhere")
    with pytest.raises(PostFailed, match="answered 307"):
        await world.poster().post(world.url(), b"report")
    assert [path for path, _, _ in world.web.got] == ["/tls"]


async def test_a_private_address_is_not_posted_to(world: World) -> None:
    with pytest.raises(PostFailed, match="no public address"):
        await world.poster(may_connect).post(world.url(), b"report")
    assert world.web.got == []


async def test_a_server_that_does_not_answer_is_left(world: World) -> None:
    world.web.silent = True
    with pytest.raises(PostFailed, match="did not answer in time"):
        await world.poster(deadline_s=0.5).post(world.url(), b"report")


async def test_a_certificate_that_does_not_hold_gets_no_report(world: World, tmp_path: Path) -> None:
    world.authorities = written(tmp_path / "others.pem", signed("another authority", authority=True))
    with pytest.raises(PostFailed, match="certificate"):
        await world.poster().post(world.url(), b"report")
    assert world.web.got == []
