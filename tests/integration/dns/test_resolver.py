"""The resolver against a real server over UDP and TCP on loopback, without and with faults."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from shared.dns.answer import MX, Answer, BadName, DnsTemporary
from shared.dns.cache import FAILURE_TTL_S
from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer, Fault, Records

ZONE: Records = {
    "example.test": {
        "A": "192.0.2.1",
        "TXT": ["v=spf1 -all", "x" * 700],
        "MX": ["20 b.example.test.", "10 A.example.test."],
    },
    "www.example.test": {"CNAME": "example.test."},
    "a.b.example.test": {"AAAA": "2001:db8::1"},
    "1.2.0.192.in-addr.arpa": {"PTR": "Host.example.test."},
}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer(ZONE) as running:
        yield running


@asynccontextmanager
async def resolving(
    *servers: str, timeout_s: float = 5.0, zone_files: tuple[Path, ...] = (), clock: Clock | None = None
) -> AsyncIterator[CachingResolver]:
    resolver = CachingResolver(servers, zone_files, timeout_s, clock=clock or Clock())
    try:
        yield resolver
    finally:
        await resolver.close()


def silent_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_each_type_is_answered(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        assert (await resolver.lookup("example.test", "A")).addresses() == ("192.0.2.1",)
        assert (await resolver.lookup("a.b.example.test", "AAAA")).addresses() == ("2001:db8::1",)
        assert set((await resolver.lookup("example.test", "TXT")).texts()) == {b"v=spf1 -all", b"x" * 700}
        assert (await resolver.lookup("example.test", "MX")).mx() == (
            MX(10, "a.example.test"),
            MX(20, "b.example.test"),
        )
        assert (await resolver.lookup("1.2.0.192.in-addr.arpa", "PTR")).names() == ("host.example.test",)
        assert (await resolver.lookup("www.example.test", "A")).addresses() == ("192.0.2.1",)
        assert (await resolver.lookup("www.example.test", "CNAME")).names() == ("example.test",)


async def test_no_name_and_no_data_are_told_apart(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        assert not (await resolver.lookup("nothing.example.test", "A")).exists
        for name in ("example.test", "b.example.test"):
            answer = await resolver.lookup(name, "AAAA")
            assert answer.exists
            assert answer.records == ()


async def test_a_cached_answer_costs_no_query_until_it_expires(server: DnsServer) -> None:
    clock = Clock()
    async with resolving(server.address, clock=clock) as resolver:
        assert resolver.cached("example.test", "A") is None
        answer = await resolver.lookup("example.test", "A")
        assert resolver.cached("EXAMPLE.test.", "A") is answer
        assert await resolver.lookup("Example.Test", "A") is answer
        clock.now_s += answer.ttl_s
        assert resolver.cached("example.test", "A") is None
        await resolver.lookup("example.test", "A")
        assert server.count("example.test", "A") == 2


async def test_lookups_for_the_same_at_the_same_time_share_one_query(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        answers = await asyncio.gather(*(resolver.lookup("example.test", "A") for _ in range(50)))
        assert {answer.addresses() for answer in answers} == {("192.0.2.1",)}
        assert server.count("example.test", "A") == 1


async def test_one_who_gives_up_does_not_end_the_lookup_for_the_others(server: DnsServer) -> None:
    server.fail("example.test", "A", Fault.TIMEOUT)
    async with resolving(server.address, timeout_s=2) as resolver:
        first = asyncio.create_task(resolver.lookup("example.test", "A"))
        second = asyncio.create_task(resolver.lookup("example.test", "A"))
        await server.asked("example.test", "A")
        first.cancel()
        server.heal()
        assert (await second).addresses() == ("192.0.2.1",)


async def test_a_lost_packet_is_asked_again(server: DnsServer) -> None:
    server.fail("example.test", "A", Fault.TIMEOUT)
    async with resolving(server.address, timeout_s=1) as resolver:
        lookup = asyncio.create_task(resolver.lookup("example.test", "A"))
        await server.asked("example.test", "A")
        server.heal()
        assert (await lookup).addresses() == ("192.0.2.1",)
        assert server.count("example.test", "A") == 2


async def test_a_truncated_answer_is_fetched_over_tcp(server: DnsServer) -> None:
    server.add("big.example.test", "TXT", *(f"{number:02d}" + "y" * 250 for number in range(40)))
    server.fail("example.test", "A", Fault.TRUNCATED)
    async with resolving(server.address) as resolver:
        assert len((await resolver.lookup("big.example.test", "TXT")).texts()) == 40
        assert (await resolver.lookup("example.test", "A")).addresses() == ("192.0.2.1",)
        assert server.tcp_queries["big.example.test", "TXT"] == server.queries["big.example.test", "TXT"] == 1


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.TRUNCATED])
async def test_no_fault_is_ever_no_record(server: DnsServer, fault: Fault) -> None:
    server.fail("example.test", "TXT", fault)
    async with resolving(server.address, timeout_s=0.3) as resolver:
        with pytest.raises(DnsTemporary) as error:
            await resolver.lookup("example.test", "TXT")
        assert (error.value.name, error.value.rdtype) == ("example.test", "TXT")
        assert error.value.cause


@pytest.mark.parametrize("fault", [Fault.WRONG_ID, Fault.WRONG_QUESTION])
async def test_a_forged_answer_is_passed_over_and_the_true_one_awaited(fault: Fault) -> None:
    async with forging(fault) as address, resolving(address) as resolver:
        assert (await resolver.lookup("example.test", "A")).addresses() == ("192.0.2.1",)


@pytest.mark.parametrize(
    "fault",
    [Fault.SERVFAIL, Fault.REFUSED, Fault.TIMEOUT, Fault.MALFORMED, Fault.REFERRAL, Fault.TRUNCATED_DEAD_TCP],
)
async def test_the_next_nameserver_is_asked_when_one_fails_and_comes_first_from_then_on(fault: Fault) -> None:
    async with (
        DnsServer() as bad,
        DnsServer(ZONE) as good,
        resolving(bad.address, good.address, timeout_s=2) as resolver,
    ):
        bad.fail("*", "A", fault)
        assert (await resolver.lookup("example.test", "A")).addresses() == ("192.0.2.1",)
        asked = sum(bad.queries.values())
        assert (await resolver.lookup("www.example.test", "A")).addresses() == ("192.0.2.1",)
        assert sum(bad.queries.values()) == asked == 1


async def test_a_failure_is_remembered_for_a_moment_only(server: DnsServer) -> None:
    clock = Clock()
    server.fail("example.test", "A", Fault.SERVFAIL)
    async with resolving(server.address, clock=clock) as resolver:
        for _ in range(3):
            with pytest.raises(DnsTemporary):
                await resolver.lookup("example.test", "A")
        with pytest.raises(DnsTemporary):
            resolver.cached("example.test", "A")
        assert server.count("example.test", "A") == 1
        server.heal()
        clock.now_s += FAILURE_TTL_S
        assert resolver.cached("example.test", "A") is None
        assert (await resolver.lookup("example.test", "A")).exists


async def test_a_dead_nameserver_fails_at_once() -> None:
    async with resolving(f"127.0.0.1:{silent_port()}", timeout_s=60) as resolver, asyncio.timeout(5):
        with pytest.raises(DnsTemporary, match="refused"):
            await resolver.lookup("example.test", "A")


async def test_without_nameservers_every_name_fails_at_once() -> None:
    async with resolving(timeout_s=60) as resolver, asyncio.timeout(5):
        with pytest.raises(DnsTemporary, match="no nameserver"):
            await resolver.lookup("example.test", "A")


async def test_a_bad_name_is_refused_and_never_asked(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        with pytest.raises(BadName):
            await resolver.lookup("back\\slash.test", "A")
        with pytest.raises(BadName):
            resolver.cached("a..test", "A")
        with pytest.raises(ValueError, match="record type"):
            await resolver.lookup("example.test", "ANY")
        assert not server.queries


async def test_names_are_asked_as_they_stand_without_a_search_list(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        assert not (await resolver.lookup("example", "A")).exists
        assert set(server.queries) == {("example", "A")}


@pytest.mark.parametrize("secure", [True, False])
async def test_answers_are_secure_when_the_local_nameserver_validated_them(secure: bool) -> None:
    async with DnsServer(ZONE, secure=secure) as server, resolving(server.address) as resolver:
        assert (await resolver.lookup("example.test", "A")).secure is secure


async def test_an_alias_loop_is_a_temporary_failure(server: DnsServer) -> None:
    server.add("a.loop.test", "CNAME", "b.loop.test.")
    server.add("b.loop.test", "CNAME", "a.loop.test.")
    async with resolving(server.address) as resolver:
        with pytest.raises(DnsTemporary):
            await resolver.lookup("a.loop.test", "A")


async def test_closing_ends_lookups_under_way(server: DnsServer) -> None:
    server.fail("example.test", "A", Fault.TIMEOUT)
    async with resolving(server.address, timeout_s=60) as resolver:
        lookup = asyncio.create_task(resolver.lookup("example.test", "A"))
        await server.asked("example.test", "A")
        await resolver.close()
        with pytest.raises(DnsTemporary, match="closed"):
            await lookup
        with pytest.raises(DnsTemporary, match="closed"):
            await resolver.lookup("www.example.test", "A")


def test_it_works_on_uvloop_too() -> None:
    async def scenario() -> list[Answer | BaseException]:
        async with DnsServer(ZONE) as server, resolving(server.address, timeout_s=0.5) as resolver:
            server.fail("timeout.test", "A", Fault.TIMEOUT)
            server.fail("www.example.test", "A", Fault.TRUNCATED)
            names = ["example.test", "timeout.test", "www.example.test"]
            return await asyncio.gather(*(resolver.lookup(name, "A") for name in names), return_exceptions=True)

    plain, timeout, truncated = uvloop.run(scenario())
    assert isinstance(plain, Answer)
    assert isinstance(timeout, DnsTemporary)
    assert isinstance(truncated, Answer)
    assert plain.addresses() == truncated.addresses() == ("192.0.2.1",)


async def test_a_thousand_lookups_at_once_hold_a_bounded_number_of_sockets(server: DnsServer) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    async with resolving(server.address, timeout_s=10) as resolver:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 300, hard))
        try:
            answers = await asyncio.gather(*(resolver.lookup(f"n{number}.test", "A") for number in range(1000)))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not any(answer.exists for answer in answers)


@asynccontextmanager
async def forging(fault: Fault) -> AsyncIterator[str]:
    """A server that sends a forged answer ahead of every true one."""
    async with DnsServer(ZONE) as server:
        server.fail("example.test", "A", fault)

        def both(data: bytes) -> list[bytes | None]:
            forged = server.reply(data, over_tcp=False)
            server.heal()
            return [forged, b"", b"\0", server.reply(data, over_tcp=False)]

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Relay(both), ("127.0.0.1", 0))
        try:
            yield "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
        finally:
            transport.close()


class _Relay(asyncio.DatagramProtocol):
    def __init__(self, answers: Callable[[bytes], list[bytes | None]]) -> None:
        self._answers = answers

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for answer in self._answers(data):
            if answer is not None:
                self._transport.sendto(answer, addr)
