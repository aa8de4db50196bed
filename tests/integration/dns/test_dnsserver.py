"""The test server itself, as a process and against dnspython's own client."""

import asyncio
import signal
import sys
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer


async def test_as_a_process_it_prints_its_address_and_ends_on_sigterm(tmp_path: Path) -> None:
    zone = tmp_path / "example.test.zone"
    zone.write_text("@ A 192.0.2.1\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.dnsserver", "--zone", str(zone), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    resolver = CachingResolver([address])
    assert (await resolver.lookup("example.test", "A")).addresses() == ("192.0.2.1",)
    await resolver.close()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.parametrize("over_tcp", [False, True])
async def test_it_speaks_dns_to_any_client(over_tcp: bool) -> None:
    async with DnsServer({"example.test": {"A": "192.0.2.1"}}) as server:
        ask = dns.asyncquery.tcp if over_tcp else dns.asyncquery.udp
        for _ in range(2):
            reply = await ask(dns.message.make_query("example.test.", "A"), "127.0.0.1", port=server.port, timeout=5)
            assert reply.answer[0].to_text() == "example.test. 300 IN A 192.0.2.1"
        reply = await ask(dns.message.make_query("no.test.", "A"), "127.0.0.1", port=server.port, timeout=5)
        assert reply.rcode() == dns.rcode.NXDOMAIN
        assert reply.flags & dns.flags.RA
        assert server.count("example.test", "A") == 2


async def test_one_text_may_hold_several_zones_with_their_own_soa() -> None:
    soa = "SOA ns hostmaster 1 2 3 4 33\n"
    text = f"a.test. TXT root\n$TTL 60\n$ORIGIN b.test.\n@ {soa}x TXT b\n$ORIGIN c.test.\n@ {soa}x TXT c\n"
    async with DnsServer(text) as server:
        server.add("x.b.test", "TXT", "more")
        resolver = CachingResolver([server.address])
        assert (await resolver.lookup("a.test", "TXT")).texts() == (b"root",)
        answer = await resolver.lookup("x.b.test", "TXT")
        assert (set(answer.texts()), answer.ttl_s) == ({b"b", b"more"}, 60)
        assert (await resolver.lookup("none.c.test", "TXT")).ttl_s == 33
        assert (await resolver.lookup("c.test", "SOA")).names() == ("ns.c.test",)


async def test_records_can_change_while_it_runs() -> None:
    async with DnsServer() as server, DnsServer() as second:
        assert server.port != second.port
        first = CachingResolver([server.address])
        assert not (await first.lookup("a.test", "TXT")).exists
        server.add("a.test", "TXT", 'long "quoted" \\ text ' * 30)
        assert (await CachingResolver([server.address]).lookup("a.test", "TXT")).texts() == (
            b'long "quoted" \\ text ' * 30,
        )
        server.replace("b.test. TXT x\n")
        assert not (await CachingResolver([server.address]).lookup("a.test", "TXT")).exists
