"""What the doctor asks over sockets, of real engines."""

from services.console.doctor import engines
from services.console.doctor.finding import Level
from shared.settings import DnsSettings
from tests.dnsserver import DnsServer, Fault
from tests.redis import RedisServer


async def test_a_dns_that_answers_is_good_even_if_there_is_no_such_name() -> None:
    async with DnsServer({"example.org": {"MX": "10 mx.example.org."}}) as server:
        settings = DnsSettings(nameservers=[server.address], timeout_s=2)
        assert [finding.level for finding in await engines.dns(settings, "example.org")] == [Level.GOOD]
        assert [finding.level for finding in await engines.dns(settings, "example.net")] == [Level.GOOD]


async def test_a_dns_that_fails_is_wrong() -> None:
    async with DnsServer({}) as server:
        server.fail("example.org", "MX", Fault.SERVFAIL)
        settings = DnsSettings(nameservers=[server.address], timeout_s=2)
        assert [finding.level for finding in await engines.dns(settings, "example.org")] == [Level.WRONG]


async def test_a_redis_that_answers_is_good_and_one_that_does_not_is_wrong(redis_server: RedisServer) -> None:
    assert await engines.redis(None) == []
    assert [finding.level for finding in await engines.redis(redis_server.settings)] == [Level.GOOD]
    redis_server.kill()
    (finding,) = await engines.redis(redis_server.settings)
    assert finding.level is Level.WRONG
    assert "mail flows" in finding.text
