"""Names and lists of clients over a real nameserver on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
import uvloop

from services.edge.lookups.client import ClientLookups, ClientNames
from shared.auth.iprev import ReverseWord
from shared.dns.resolver import CachingResolver
from shared.policy import Policy, parse_policy
from tests.dnsserver import DnsServer, Fault, Records

ZONE: Records = {
    # Alive, with an entry for one client of each family.
    "2.0.0.127.good.test": {"A": "127.0.0.2"},
    "9.2.0.192.good.test": {"A": ["127.0.0.3", "127.0.0.10"], "TXT": "sends spam, see list.good.test"},
    f"{ip_address('2001:db8::9').reverse_pointer.removesuffix('.ip6.arpa')}.good.test": {"A": "127.0.0.3"},
    # An allow list, alive.
    "2.0.0.127.allow.test": {"A": "127.0.0.2"},
    "7.2.0.192.allow.test": {"A": "127.0.0.2"},
    "7.2.0.192.good.test": {"A": "127.0.0.3"},
    # Lists everything; answers everybody with an error; was sold; lists IPv6 alone; is dead (nothing of it here).
    "*.everything.test": {"A": "127.0.0.2"},
    "*.blocked.test": {"A": "127.255.255.254"},
    "*.sold.test": {"A": "203.0.113.80"},
    f"{ip_address('::ffff:7f00:2').reverse_pointer.removesuffix('.ip6.arpa')}.six.test": {"A": "127.0.0.2"},
    f"{ip_address('2001:db8::9').reverse_pointer.removesuffix('.ip6.arpa')}.six.test": {"A": "127.0.0.2"},
    # Names: both directions; one direction; an alias on the way there (RFC 2317); several, of which the last is good.
    "9.2.0.192.in-addr.arpa": {"PTR": "Mail.Example.test."},
    "mail.example.test": {"A": ["192.0.2.10", "192.0.2.9"], "AAAA": "2001:db8::9"},
    ip_address("2001:db8::9").reverse_pointer: {"PTR": "mail.example.test."},
    "8.2.0.192.in-addr.arpa": {"PTR": "mail.example.test."},
    "10.2.0.192.in-addr.arpa": {"CNAME": "10.0-15.2.0.192.in-addr.arpa."},
    "10.0-15.2.0.192.in-addr.arpa": {"PTR": "mail.example.test."},
    "7.2.0.192.in-addr.arpa": {"PTR": ["liar.test.", "nothing.test.", "seven.test."]},
    "liar.test": {"A": "203.0.113.7"},
    "seven.test": {"CNAME": "host.seven.test."},
    "host.seven.test": {"A": "192.0.2.7"},
}


def policy(*zones: str, more: str = "", **rules: object) -> Policy:
    listed = ", ".join(f'{{ zone = "{zone}.test"{more} }}' for zone in zones)
    keys = "\n".join(f"{key} = {value}" for key, value in rules.items())
    return parse_policy(f"[dns_lists]\nlists = [{listed}]\n{keys}\n[reverse]\ntimeout_s = 0.5\n")


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer(ZONE) as running:
        yield running


@asynccontextmanager
async def looking(server: DnsServer, text: Policy, *, timeout_s: float = 1.0) -> AsyncIterator[ClientLookups]:
    """Look-ups whose lists have all been probed once."""
    resolver = CachingResolver([server.address], timeout_s=timeout_s)
    lookups = ClientLookups(resolver)
    lookups.follow(text)
    try:
        await lookups.health.probe_due()
        yield lookups
    finally:
        await lookups.close()
        await resolver.close()


@pytest.mark.parametrize(
    ("address", "word", "name"),
    [
        ("192.0.2.9", ReverseWord.PASS, "mail.example.test"),
        ("2001:db8::9", ReverseWord.PASS, "mail.example.test"),
        ("192.0.2.10", ReverseWord.PASS, "mail.example.test"),
        ("192.0.2.7", ReverseWord.PASS, "seven.test"),
        ("192.0.2.8", ReverseWord.FAIL, ""),
        ("192.0.2.200", ReverseWord.PERMERROR, ""),
        ("2001:db8::1", ReverseWord.PERMERROR, ""),
        ("127.0.0.1", ReverseWord.PASS, "localhost"),
        ("::1", ReverseWord.PASS, "localhost"),
    ],
)
async def test_the_name_of_a_client(server: DnsServer, address: str, word: ReverseWord, name: str) -> None:
    text = policy()
    async with looking(server, text) as lookups:
        for _ in range(2):
            reverse = (await lookups.about(address, text)).reverse
            assert reverse is not None
            assert (reverse.word, reverse.name) == (word, name)


@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.REFUSED, Fault.TIMEOUT, Fault.MALFORMED])
@pytest.mark.parametrize("question", [("9.2.0.192.in-addr.arpa", "PTR"), ("mail.example.test", "A")])
async def test_a_name_that_dns_cannot_tell_is_unknown(
    server: DnsServer, fault: Fault, question: tuple[str, str]
) -> None:
    text = policy()
    server.fail(*question, fault)
    async with looking(server, text) as lookups:
        reverse = (await lookups.about("192.0.2.9", text)).reverse
    assert reverse is not None
    assert (reverse.word, reverse.name) == (ReverseWord.TEMPERROR, None)


async def test_scores_of_block_and_allow_lists_add_up(server: DnsServer) -> None:
    text = parse_policy(
        '[dns_lists]\nlists = [{ zone = "good.test", answers = [{ answer = "127.0.0.10", score = 9 }] },'
        '{ zone = "allow.test", score = -5 }]'
    )
    async with looking(server, text) as lookups:
        listed = (await lookups.about("192.0.2.9", text)).findings
        allowed = (await lookups.about("192.0.2.7", text)).findings
        clean = (await lookups.about("192.0.2.1", text)).findings
        six = (await lookups.about("2001:db8::9", text)).findings
    assert listed is not None
    assert listed.heaviest is not None
    assert (listed.score, str(listed.heaviest.answer)) == (9, "127.0.0.10")
    assert listed.heaviest.text == "sends spam, see list.good.test"
    assert allowed is not None
    assert (allowed.score, len(allowed.hits)) == (0, 2)
    assert clean is not None
    assert (clean.score, clean.hits, clean.asked) == (0, (), 2)
    assert six is not None
    assert six.score == 5


@pytest.mark.parametrize(
    ("zone", "up"),
    [
        ("good", True),
        ("six", True),
        ("everything", False),
        ("blocked", False),
        ("sold", False),
        ("dead", False),
    ],
)
async def test_a_list_counts_only_if_it_is_alive(server: DnsServer, zone: str, up: bool) -> None:
    text = policy(zone)
    async with looking(server, text) as lookups:
        assert lookups.health.is_up(f"{zone}.test") is up
        findings = (await lookups.about("2001:db8::9", text)).findings
    assert findings is not None
    assert (findings.score, findings.asked) == ((5, 1) if up else (0, 0))


@pytest.mark.parametrize("zone", ["blocked", "sold"])
async def test_an_error_is_no_listing_even_without_probes(server: DnsServer, zone: str) -> None:
    text = policy(zone, more=", probe = false")
    async with looking(server, text) as lookups:
        findings = (await lookups.about("192.0.2.9", text)).findings
    assert findings is not None
    assert (findings.score, findings.hits, findings.failed) == (0, (), (f"{zone}.test",))


async def test_a_list_that_lists_everything_is_switched_off(server: DnsServer) -> None:
    text = policy("everything", "good", more=", probe = false")
    async with looking(server, text) as lookups:
        for number in range(100):
            findings = (await lookups.about(f"203.0.113.{number}", text)).findings
            assert findings is not None
            assert findings.score == 5
        await lookups.health.probe_due()
        assert not lookups.health.is_up("everything.test")
        findings = (await lookups.about("203.0.113.200", text)).findings
    assert findings is not None
    assert (findings.score, findings.asked) == (0, 1)


async def test_a_silent_list_holds_nobody_up_and_hides_no_other(server: DnsServer) -> None:
    text = policy("good", "allow", timeout_s=0.3)
    async with looking(server, text, timeout_s=30) as lookups:
        server.fail("9.2.0.192.allow.test", "A", Fault.TIMEOUT)
        async with asyncio.timeout(5):
            findings = (await lookups.about("192.0.2.9", text)).findings
    assert findings is not None
    assert (findings.score, findings.failed) == (5, ("allow.test",))


async def test_while_dns_is_down_a_list_stands_aside_and_comes_back(server: DnsServer) -> None:
    changes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    resolver = CachingResolver([server.address], timeout_s=0.3)
    lookups = ClientLookups(resolver, on_list_change=lambda zone, cause: changes.put_nowait((zone, cause)))
    lookups.health._unsure_retry_s = 0.05
    server.fail("2.0.0.127.good.test", "A", Fault.SERVFAIL)
    lookups.start()
    lookups.follow(policy("good"))
    async with asyncio.timeout(20):
        assert await changes.get() == ("good.test", "DNS gave no answer to its probe")
        server.heal()
        assert await changes.get() == ("good.test", "")
    await lookups.close()
    await resolver.close()


async def test_a_probe_asks_the_nameserver_each_time(server: DnsServer) -> None:
    text = policy("good")
    text = text.model_copy(update={"dns_lists": text.dns_lists.model_copy(update={"probe_interval_s": 0.01})})
    changes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    resolver = CachingResolver([server.address])
    lookups = ClientLookups(resolver, on_list_change=lambda zone, cause: changes.put_nowait((zone, cause)))
    lookups.start()
    lookups.follow(text)
    async with asyncio.timeout(20):
        assert await changes.get() == ("good.test", "")
        # The list turns bad within the lifetime of its last answer.
        server.add("1.0.0.127.good.test", "A", "127.0.0.2")
        assert await changes.get() == ("good.test", "it lists 127.0.0.1, which no list may have")
    await lookups.close()
    await resolver.close()


async def test_a_second_visit_asks_nothing(server: DnsServer) -> None:
    text = policy("good", "allow")
    async with looking(server, text) as lookups:
        first = await lookups.about("192.0.2.9", text)
        asked = server.queries.total()
        assert await lookups.about("192.0.2.9", text) == first
        assert server.queries.total() == asked


async def test_a_client_that_leaves_meanwhile_leaves_nothing_behind(server: DnsServer) -> None:
    text = policy("good", timeout_s=20)
    async with looking(server, text, timeout_s=30) as lookups:
        before = asyncio.all_tasks()
        server.fail("9.2.0.192.good.test", "A", Fault.TIMEOUT)
        asking = asyncio.create_task(lookups.about("192.0.2.9", text))
        await server.asked("9.2.0.192.good.test", "A")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        # The question itself goes on, for the resolver's memory; nobody waits for it.
        left = {task for task in asyncio.all_tasks() - before if "_fly" not in str(task.get_coro())}
        assert not left


def test_it_works_on_uvloop_too() -> None:
    async def scenario() -> ClientNames:
        text = policy("good", "allow")
        async with DnsServer(ZONE) as server, looking(server, text) as lookups:
            return await lookups.about("192.0.2.9", text)

    run: Callable[..., ClientNames] = uvloop.run
    names = run(scenario())
    assert names.reverse is not None
    assert names.findings is not None
    assert (names.reverse.name, names.findings.score) == ("mail.example.test", 5)
