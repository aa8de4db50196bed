"""What strangers may put into DNS, and what it must not cost: time, places, connections to where nothing of ours goes."""

import pytest

from services.delivery.mx import EXCHANGES_LIMIT, SILENT_LIMIT, TARGETS_LIMIT, Exchangers, NoHost, route_targets
from shared.dns.answer import MX, Answer, DnsTemporary
from shared.routes import parse_route

PUBLIC = "198.41.0.4"


class Attacker:
    """A domain whose zone answers whatever is worst. silent: hosts without an answer."""

    def __init__(self, exchanges: int, addresses: tuple[str, ...] = (), *, silent: bool = False) -> None:
        self._exchanges = exchanges
        self._addresses = addresses
        self._silent = silent
        self.asked: list[str] = []

    async def lookup(self, name: str, rdtype: str) -> Answer:
        self.asked.append(name)
        if rdtype == "MX":
            found = tuple(MX(place, f"h{place}.evil.example") for place in range(self._exchanges))
            return Answer(name, rdtype, exists=True, records=found)
        if self._silent:
            raise DnsTemporary(name, rdtype, "no answer within 5 s")
        return Answer(name, rdtype, exists=True, records=self._addresses if rdtype == "A" else ())

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return None


class Counting(Exchangers):
    """Counts the addresses that are looked at, each of which asks the system for a socket or two."""

    looked_at = 0

    def may_connect(self, text: str) -> bool:
        self.looked_at += 1
        return super().may_connect(text)


async def test_of_a_thousand_exchanges_only_the_first_few_are_asked_for() -> None:
    attacker = Attacker(1000)
    with pytest.raises(NoHost):
        await Exchangers(attacker, "gate.example").targets("evil.example")
    assert len({name for name in attacker.asked if name != "evil.example"}) == EXCHANGES_LIMIT


async def test_of_a_thousand_silent_exchanges_fewer_still_are_asked_for() -> None:
    # Each may take the five seconds of a look-up, and a message waits meanwhile.
    attacker = Attacker(1000, silent=True)
    with pytest.raises(DnsTemporary):
        await Exchangers(attacker, "gate.example").targets("evil.example")
    assert len({name for name in attacker.asked if name != "evil.example"}) == SILENT_LIMIT


async def test_of_thousands_of_addresses_only_the_first_few_are_looked_at() -> None:
    addresses = tuple(f"198.41.{place // 250}.{place % 250 + 1}" for place in range(4000))
    exchangers = Counting(Attacker(1000, addresses), "gate.example")
    assert len(await exchangers.targets("evil.example")) == TARGETS_LIMIT
    assert exchangers.looked_at <= TARGETS_LIMIT


async def test_thousands_of_inner_addresses_are_refused_after_the_first_few() -> None:
    addresses = tuple(f"10.0.{place // 250}.{place % 250 + 1}" for place in range(4000))
    exchangers = Counting(Attacker(1000, addresses), "gate.example")
    with pytest.raises(NoHost):
        await exchangers.targets("evil.example")
    assert exchangers.looked_at <= TARGETS_LIMIT * EXCHANGES_LIMIT


async def test_a_route_has_as_few_targets_as_a_domain() -> None:
    addresses = tuple(f"198.41.{place // 250}.{place % 250 + 1}" for place in range(4000))
    found = await route_targets(Attacker(0, addresses), parse_route("smtp://relay.evil.example:25"))
    assert len(found) == TARGETS_LIMIT


@pytest.mark.parametrize(
    "address",
    [
        # RFC 3879: site-local addresses, which old routers still route; Python calls them global.
        "fec0::1",
        "fec0:0:0:ffff::1",
        # RFC 6890: all of 192.0.0.0/24 but two anycast addresses; a cloud has its metadata at .192.
        "192.0.0.192",
        "::ffff:192.0.0.192",
        # RFC 4291 §2.5.5.1 and RFC 8215: others inside.
        "::127.0.0.1",
        "64:ff9b:1::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        # RFC 4380: Teredo.
        "2001:0:7f00:1::1",
    ],
)
async def test_no_form_of_an_inner_address_is_connected_to(address: str) -> None:
    assert not Exchangers(Attacker(0), "gate.example").may_connect(address)
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    with pytest.raises(NoHost):
        await Exchangers(Attacker(0), "gate.example").targets(literal)
