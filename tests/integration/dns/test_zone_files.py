"""Zone files before nameservers: what a file holds is asked of nobody."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup, replay
from shared.dns.resolver import CachingResolver
from shared.dns.zonefile import ZoneError
from tests.dnsserver import DnsServer, Fault

LOCAL = """
@        SOA   ns hostmaster 1 3600 600 86400 60
@        MX    10 mx
mx       A     192.0.2.1
alias    CNAME mx
out      CNAME www.example.test.
gone     CNAME nothing
loop     CNAME loop2
loop2    CNAME loop
"""
REMOTE = {
    "www.example.test": {"A": "198.51.100.1"},
    "in.example.test": {"CNAME": "mx.local.test."},
    "mx.local.test": {"A": "198.51.100.66"},
    "secret.local.test": {"A": "198.51.100.66"},
}


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer(REMOTE, secure=True) as running:
        yield running


@pytest.fixture
def zone_file(tmp_path: Path) -> Path:
    path = tmp_path / "local.test.zone"
    path.write_text(LOCAL)
    return path


async def test_names_of_a_zone_file_never_leak_to_a_nameserver(server: DnsServer, zone_file: Path) -> None:
    resolver = CachingResolver([server.address], [zone_file])
    assert (await resolver.lookup("mx.local.test", "A")).addresses() == ("192.0.2.1",)
    assert (await resolver.lookup("alias.local.test", "A")).addresses() == ("192.0.2.1",)
    assert not (await resolver.lookup("secret.local.test", "A")).exists
    assert not (await resolver.lookup("gone.local.test", "A")).exists
    assert (await resolver.lookup("local.test", "A")).exists
    assert not server.queries


async def test_a_zone_file_answers_without_any_nameserver_even_where_only_the_cache_is_asked(zone_file: Path) -> None:
    resolver = CachingResolver([], [zone_file])
    answer = resolver.cached("alias.local.test", "A")
    assert answer is not None
    assert answer.addresses() == ("192.0.2.1",)
    with pytest.raises(DnsTemporary):
        await resolver.lookup("example.test", "A")


async def test_an_alias_out_of_a_zone_file_is_followed_to_the_nameserver(server: DnsServer, zone_file: Path) -> None:
    resolver = CachingResolver([server.address], [zone_file])
    assert resolver.cached("out.local.test", "A") is None
    answer = await resolver.lookup("out.local.test", "A")
    assert answer.name == "out.local.test"
    assert answer.addresses() == ("198.51.100.1",)
    assert not answer.secure
    assert set(server.queries) == {("www.example.test", "A")}


async def test_an_alias_into_a_zone_file_ends_there(server: DnsServer, zone_file: Path) -> None:
    resolver = CachingResolver([server.address], [zone_file])
    assert (await resolver.lookup("in.example.test", "A")).addresses() == ("192.0.2.1",)


async def test_a_loop_in_a_zone_file_is_a_temporary_failure(zone_file: Path) -> None:
    resolver = CachingResolver([], [zone_file])
    with pytest.raises(DnsTemporary, match="aliases"):
        resolver.cached("loop.local.test", "A")


async def test_the_nearest_zone_answers(tmp_path: Path) -> None:
    for origin, text in (("test", "@ TXT upper\na.sub TXT upper\n"), ("sub.test", "b TXT lower\n")):
        (tmp_path / f"{origin}.zone").write_text(text)
    resolver = CachingResolver([], sorted(tmp_path.glob("*.zone")))
    assert (await resolver.lookup("b.sub.test", "TXT")).texts() == (b"lower",)
    assert not (await resolver.lookup("a.sub.test", "TXT")).exists
    assert (await resolver.lookup("test", "TXT")).texts() == (b"upper",)


async def test_a_zone_file_outranks_a_special_name(tmp_path: Path) -> None:
    (tmp_path / "localhost.zone").write_text("@ A 192.0.2.9\n")
    resolver = CachingResolver([], [tmp_path / "localhost.zone"])
    assert (await resolver.lookup("localhost", "A")).addresses() == ("192.0.2.9",)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"a A nonsense\n"])
def test_a_zone_file_that_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.test.zone"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ZoneError, match="broken"):
        CachingResolver([], [path])


async def test_replay_fetches_from_a_real_server_and_sees_its_failures(server: DnsServer, zone_file: Path) -> None:
    resolver = CachingResolver([server.address], [zone_file])
    server.fail("bad.example.test", "A", Fault.SERVFAIL)

    def evaluate(lookup: Lookup) -> list[str]:
        seen = [*lookup("mx.local.test", "A").addresses(), *lookup("www.example.test", "A").addresses()]
        try:
            lookup("bad.example.test", "A")
        except DnsTemporary:
            seen.append("temperror")
        return seen

    assert await replay(resolver, evaluate) == ["192.0.2.1", "198.51.100.1", "temperror"]
