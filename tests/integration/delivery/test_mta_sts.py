"""MTA-STS with policies that a real https server gives, from mail's first look to the end of a policy."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from services.delivery.client.session import HopUnreachable, Session
from services.delivery.client.target import Speech, Target
from services.delivery.outcome import Status
from services.delivery.tls.demand import TlsDemand
from services.delivery.tls.securing import Securing, TlsImpossible
from services.delivery.tls.sts import REFRESH_S, RETRY_S, StsPolicies
from services.delivery.tls.sts_fetch import SIZE_LIMIT_BYTES, PolicyFetcher
from shared.dns.resolver import CachingResolver
from shared.mta_sts import StsMode
from shared.policy.destination import DeliveryRules
from shared.state.memory import MemoryState
from shared.state.port import StateUnavailable
from shared.tls_seen import PolicyType, TlsResult
from tests.certificates import signed, written
from tests.dnsserver import DnsServer, Fault
from tests.integration.delivery.tls_parts import HOST, Papers, papers, send, session_with
from tests.nexthop import NextHop

DOMAIN = "hop.test"
RULES = DeliveryRules.model_validate({"tls_authority": "ca.pem"})
ZONE = {
    DOMAIN: {"MX": f"10 {HOST}."},
    HOST: {"A": "127.0.0.1"},
    f"mta-sts.{DOMAIN}": {"A": "127.0.0.1"},
    f"_mta-sts.{DOMAIN}": {"TXT": "v=STSv1; id=1;"},
}


class NoState(MemoryState):
    """A shared state that is away."""

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        raise StateUnavailable(str(keys))

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        raise StateUnavailable(f"{key} {value} {ttl_s}")


def policy_text(mode: str = "enforce", mx: str = HOST, max_age_s: int = 604_800) -> str:
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {max_age_s}\r\n"


@dataclass
class PolicyHost:
    """The https server. What it answers may be changed at any time."""

    text: str = field(default_factory=policy_text)
    status: int = 200
    content_type: str = "text/plain"
    location: str = ""
    asked: list[str] = field(default_factory=list)
    port: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(str(request.rel_url))
        headers = {"Location": self.location} if self.location else {}
        return web.Response(text=self.text, status=self.status, content_type=self.content_type, headers=headers)


@dataclass
class World:
    """A domain with its DNS, its https server, and our side."""

    dns: DnsServer
    host: PolicyHost
    policies: StsPolicies
    resolver: CachingResolver
    papers: Papers
    clock: list[float]
    another: Callable[[], StsPolicies]
    trouble_at: Callable[[Path], Awaitable[None]]

    def target(self, port: int = 25, host: str = HOST) -> Target:
        return Target(Speech.SMTP, host, "127.0.0.1", port, domain=DOMAIN)

    async def demand(self, port: int = 25, host: str = HOST, *, requiretls: bool = False) -> TlsDemand:
        securing = Securing(self.resolver, self.policies)
        return await securing.demand_for(self.target(port, host), RULES, requiretls=requiretls)

    async def open(self, hop: NextHop) -> Session:
        return await session_with(self.target(hop.port), await self.demand(hop.port), self.papers.folder)

    def announce(self, identifier: str | None) -> None:
        """Publish another id, or none; the resolver sees it at once."""
        zone = {name: records for name, records in ZONE.items() if not name.startswith("_")}
        if identifier is not None:
            zone[f"_mta-sts.{DOMAIN}"] = {"TXT": f"v=STSv1; id={identifier};"}
        self.dns.replace(zone)
        self.resolver.forget(f"_mta-sts.{DOMAIN}", "TXT")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
async def world(kinds: Papers, tmp_path: Path) -> AsyncIterator[World]:
    host, clock, state = PolicyHost(), [1_000_000.0], MemoryState(lambda: clock[0])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(written(tmp_path / "web.pem", signed("web", f"mta-sts.{DOMAIN}", by=kinds.authority)))
    app = web.Application()
    app.router.add_get("/.well-known/mta-sts.txt", host.answer)
    app.router.add_get("/elsewhere", host.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    host.port = runner.addresses[0][1]
    made: list[StsPolicies] = []
    async with DnsServer(ZONE) as dns:
        resolver = CachingResolver([dns.address])

        def policies() -> StsPolicies:
            fetcher = PolicyFetcher(resolver, lambda _: True, authorities=kinds.of("ca"), port=host.port, deadline_s=5)
            made.append(StsPolicies(resolver, state, fetcher, lambda: clock[0]))
            return made[-1]

        async def show(certificate: Path) -> None:
            context.load_cert_chain(certificate)

        yield World(dns, host, policies(), resolver, kinds, clock, policies, show)
        for one in made:
            await one.close()
        await resolver.close()
    await runner.cleanup()


async def test_an_enforced_policy_demands_a_verified_host(world: World) -> None:
    async with NextHop(tls=True, certificate=world.papers.of("good")) as hop:
        session = await world.open(hop)
        assert session.security == "mta-sts"
        assert session.seen is not None
        assert (session.seen.policy.kind, session.seen.policy.mx) == (PolicyType.STS, (HOST,))
        assert session.seen.result is TlsResult.SUCCESS
        assert (await send(session)).status is Status.DELIVERED
    assert world.host.asked == ["/.well-known/mta-sts.txt"]


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("expired", TlsResult.EXPIRED),
        ("wrong-name", TlsResult.HOST_MISMATCH),
        ("self-signed", TlsResult.NOT_TRUSTED),
        ("", TlsResult.STARTTLS_NOT_SUPPORTED),
    ],
)
async def test_an_enforced_policy_lets_no_other_host_have_mail(kind: str, result: TlsResult, world: World) -> None:
    certificate = world.papers.of(kind) if kind else None
    async with NextHop(tls=bool(kind), certificate=certificate) as hop:
        with pytest.raises(HopUnreachable) as caught:
            await world.open(hop)
        assert caught.value.seen is not None
        assert (caught.value.seen.policy.kind, caught.value.seen.result) == (PolicyType.STS, result)
        assert not any(line.startswith("MAIL") for line in hop.said)


async def test_a_host_that_the_policy_does_not_name_is_not_used(world: World) -> None:
    world.host.text = policy_text(mx="*.elsewhere.test")
    with pytest.raises(TlsImpossible) as caught:
        await world.demand()
    assert caught.value.seen is not None
    assert (caught.value.seen.result, caught.value.final) == (TlsResult.FAILED, None)


@pytest.mark.parametrize("kind", ["good", "expired", ""])
async def test_a_policy_on_trial_refuses_nothing_and_is_told(kind: str, world: World) -> None:
    world.host.text = policy_text("testing")
    certificate = world.papers.of(kind) if kind else None
    async with NextHop(tls=bool(kind), certificate=certificate) as hop:
        session = await world.open(hop)
        wanted = {"good": TlsResult.SUCCESS, "expired": TlsResult.EXPIRED, "": TlsResult.STARTTLS_NOT_SUPPORTED}
        assert session.seen is not None
        assert session.seen.result is wanted[kind]
        assert (await send(session)).status is Status.DELIVERED


async def test_on_trial_a_host_that_is_not_named_is_used_and_told(world: World) -> None:
    world.host.text = policy_text("testing", mx="other.test")
    demand = await world.demand()
    assert demand.level == "opportunistic"
    assert demand.trouble is not None


async def test_a_policy_of_mode_none_demands_nothing(world: World) -> None:
    world.host.text = "version: STSv1\nmode: none\nmax_age: 86400\n"
    demand = await world.demand()
    assert (demand.level, demand.published.kind) == ("opportunistic", PolicyType.NONE)


async def test_a_policy_is_fetched_once_and_shared_with_other_processes(world: World) -> None:
    for _ in range(3):
        await world.demand()
    found = await world.another().find(DOMAIN)
    assert found.policy is not None
    assert len(world.host.asked) == 1


async def test_a_new_id_has_the_policy_fetched_again(world: World) -> None:
    await world.demand()
    world.host.text = policy_text("testing")
    world.announce("2")
    assert (await world.demand()).trial == (HOST,)
    assert len(world.host.asked) == 2


async def test_a_policy_outlives_its_record_and_ends_with_its_age(world: World) -> None:
    await world.demand()
    world.announce(None)
    assert (await world.demand()).demander == "mta-sts"
    world.dns.fail(f"_mta-sts.{DOMAIN}", "TXT", Fault.SERVFAIL)
    world.resolver.forget(f"_mta-sts.{DOMAIN}", "TXT")
    assert (await world.demand()).demander == "mta-sts"
    world.clock[0] += 604_801
    assert (await world.demand()).level == "opportunistic"


async def test_a_policy_in_use_is_fetched_anew_once_a_day(world: World) -> None:
    await world.demand()
    world.clock[0] += REFRESH_S
    # What holds is used at once; the fetch goes on beside it.
    assert (await world.demand()).demander == "mta-sts"
    await world.policies.settled()
    assert len(world.host.asked) == 2


FAULTS: dict[str, tuple[dict[str, object], TlsResult]] = {
    "not-found": ({"status": 404}, TlsResult.STS_FETCH),
    "redirect": ({"status": 301, "location": "/elsewhere"}, TlsResult.STS_FETCH),
    "wrong-type": ({"content_type": "text/html"}, TlsResult.STS_FETCH),
    "too-large": ({"text": policy_text() + "x: y\n" * SIZE_LIMIT_BYTES}, TlsResult.STS_FETCH),
    "no-policy": ({"text": "hello"}, TlsResult.STS_INVALID),
    "no-mx": ({"text": "version: STSv1\nmode: enforce\nmax_age: 1\n"}, TlsResult.STS_INVALID),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_no_policy_is_none_and_told(fault: str, world: World) -> None:
    changes, result = FAULTS[fault]
    for name, value in changes.items():
        setattr(world.host, name, value)
    demand = await world.demand()
    assert demand.level == "opportunistic"
    assert demand.trouble is not None
    assert demand.trouble.result is result
    # A redirect is not followed, and nothing is tried again at once.
    await world.demand()
    assert world.host.asked == ["/.well-known/mta-sts.txt"]
    world.clock[0] += RETRY_S
    for name in changes:
        setattr(world.host, name, getattr(PolicyHost(), name))
    assert (await world.demand()).demander == "mta-sts"


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failed_fetch_leaves_the_old_policy_in_force(fault: str, world: World) -> None:
    await world.demand()
    world.announce("2")
    changes, result = FAULTS[fault]
    for name, value in changes.items():
        setattr(world.host, name, value)
    demand = await world.demand()
    assert demand.demander == "mta-sts"
    assert demand.trouble is not None
    assert demand.trouble.result is result


@pytest.mark.parametrize("kind", ["expired", "wrong-name", "self-signed"])
async def test_a_policy_whose_servers_certificate_does_not_hold_is_none(
    kind: str, world: World, tmp_path: Path
) -> None:
    name, days = f"mta-sts.{DOMAIN}", -1 if kind == "expired" else 60
    by = None if kind == "self-signed" else world.papers.authority
    await world.trouble_at(
        written(tmp_path / "bad.pem", signed("web", "web.test" if kind == "wrong-name" else name, by=by, days=days))
    )
    demand = await world.demand()
    assert demand.level == "opportunistic"
    assert demand.trouble is not None
    assert demand.trouble.result is TlsResult.STS_WEBPKI
    assert not world.host.asked


async def test_dns_leads_no_fetch_to_a_private_address(world: World) -> None:
    fetcher = PolicyFetcher(world.resolver, lambda _: False, authorities=world.papers.of("ca"), port=world.host.port)
    policies = StsPolicies(world.resolver, MemoryState(), fetcher)
    found = await policies.find(DOMAIN)
    await policies.close()
    assert found.trouble is not None
    assert "no public address" in found.trouble.reason
    assert not world.host.asked


async def test_a_domain_without_a_record_is_asked_for_nothing(world: World) -> None:
    world.announce(None)
    assert (await world.demand()).trouble is None
    assert not world.host.asked


async def test_the_mode_is_known_of_every_policy(world: World) -> None:
    found = await world.policies.find(DOMAIN)
    assert found.policy is not None
    assert found.policy.mode is StsMode.ENFORCE


async def test_many_messages_wait_for_one_fetch(world: World) -> None:
    found = await asyncio.gather(*(world.policies.find(DOMAIN) for _ in range(20)))
    assert all(one.policy is not None for one in found)
    assert len(world.host.asked) == 1


async def test_a_server_that_says_nothing_costs_its_deadline_and_no_more(world: World) -> None:
    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fetcher = PolicyFetcher(world.resolver, lambda _: True, port=port, deadline_s=0.3)
    policies = StsPolicies(world.resolver, MemoryState(), fetcher)
    found = await policies.find(DOMAIN)
    assert found.trouble is not None
    assert (found.policy, found.trouble.result) == (None, TlsResult.STS_FETCH)
    await policies.close()
    server.close()
    for writer in held:
        writer.transport.abort()


async def test_without_the_shared_state_each_process_has_its_own(world: World) -> None:
    fetcher = PolicyFetcher(world.resolver, lambda _: True, authorities=world.papers.of("ca"), port=world.host.port)
    policies = StsPolicies(world.resolver, NoState(), fetcher, lambda: world.clock[0])
    for _ in range(2):
        assert (await policies.find(DOMAIN)).policy is not None
    await policies.close()
    assert len(world.host.asked) == 1
