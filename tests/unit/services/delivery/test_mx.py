"""Which hosts a domain's mail goes to, and to which it never goes because DNS says so."""

from ipaddress import ip_address

import pytest

from services.delivery.client.target import Speech, Target
from services.delivery.mx import Exchangers, NoHost, addresses_of, route_targets
from shared.dns.answer import MX, Answer, DnsTemporary, Record
from shared.dns.reach import is_of_this_machine, is_public
from shared.routes import parse_route

PUBLIC = "198.41.0.4"
OTHER = "199.7.91.13"


class Records:
    """A resolver with a table. None: no answer at present; a name without entries does not exist."""

    def __init__(self, table: dict[tuple[str, str], tuple[Record, ...] | None]) -> None:
        self._table = table

    async def lookup(self, name: str, rdtype: str) -> Answer:
        records = self._table.get((name, rdtype), ())
        if records is None:
            raise DnsTemporary(name, rdtype, "SERVFAIL")
        exists = any(known == name for known, _ in self._table)
        return Answer(name, rdtype, exists=exists, records=records)

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return None


def _exchangers(table: dict[tuple[str, str], tuple[Record, ...] | None], **more: object) -> Exchangers:
    return Exchangers(Records(table), "gate.example", **more)  # type: ignore[arg-type]


async def _hosts(exchangers: Exchangers, domain: str = "x.example") -> list[tuple[str, str]]:
    return [(target.host, target.address) for target in await exchangers.targets(domain)]


async def _refusal(exchangers: Exchangers, domain: str = "x.example") -> str:
    with pytest.raises(NoHost) as caught:
        await exchangers.targets(domain)
    return caught.value.reply.enhanced


async def test_hosts_come_by_preference_with_ipv4_first() -> None:
    exchangers = _exchangers(
        {
            ("x.example", "MX"): (MX(20, "b.example"), MX(10, "a.example")),
            ("a.example", "A"): (PUBLIC,),
            ("a.example", "AAAA"): ("2001:503:ba3e::2:30",),
            ("b.example", "A"): (OTHER,),
        }
    )
    assert await _hosts(exchangers) == [
        ("a.example", PUBLIC),
        ("a.example", "2001:503:ba3e::2:30"),
        ("b.example", OTHER),
    ]


async def test_hosts_of_one_preference_are_shuffled_and_the_order_of_preferences_is_kept() -> None:
    table: dict[tuple[str, str], tuple[Record, ...] | None] = {
        ("x.example", "MX"): (MX(10, "a.example"), MX(10, "b.example"), MX(5, "c.example")),
        **{(f"{name}.example", "A"): (PUBLIC,) for name in "abc"},
    }
    exchangers = _exchangers(table, shuffle=lambda found: found.reverse())
    assert [host for host, _ in await _hosts(exchangers)] == ["c.example", "b.example", "a.example"]


async def test_without_mx_the_domain_itself_is_the_host() -> None:
    assert await _hosts(_exchangers({("x.example", "A"): (PUBLIC,)})) == [("x.example", PUBLIC)]


async def test_null_mx_takes_no_mail() -> None:
    assert await _refusal(_exchangers({("x.example", "MX"): (MX(0, ""),)})) == "5.1.10"


async def test_a_domain_that_does_not_exist() -> None:
    assert await _refusal(_exchangers({})) == "5.1.2"


async def test_a_domain_whose_hosts_have_no_address() -> None:
    assert await _refusal(_exchangers({("x.example", "MX"): (MX(1, "a.example"),)})) == "5.1.2"


@pytest.mark.parametrize("broken", [("x.example", "MX"), ("a.example", "A"), ("a.example", "AAAA")])
async def test_an_outage_of_dns_is_temporary(broken: tuple[str, str]) -> None:
    table: dict[tuple[str, str], tuple[Record, ...] | None] = {("x.example", "MX"): (MX(1, "a.example"),), broken: None}
    with pytest.raises(DnsTemporary):
        await _exchangers(table).targets("x.example")


async def test_one_host_without_an_answer_does_not_hide_the_others() -> None:
    table: dict[tuple[str, str], tuple[Record, ...] | None] = {
        ("x.example", "MX"): (MX(1, "a.example"), MX(2, "b.example")),
        ("a.example", "A"): None,
        ("b.example", "A"): (PUBLIC,),
    }
    assert await _hosts(_exchangers(table)) == [("b.example", PUBLIC)]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.1.1", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::1", "2001:db8::1"),
    ],
)
async def test_dns_never_leads_to_a_special_address(address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    table: dict[tuple[str, str], tuple[Record, ...] | None] = {
        ("x.example", "MX"): (MX(1, "a.example"),),
        ("a.example", kind): (address,),
    }
    assert await _refusal(_exchangers(table)) == "5.4.4"
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    assert await _refusal(_exchangers({}), literal) == "5.4.4"


async def test_a_special_address_beside_a_public_one_is_passed_over() -> None:
    table: dict[tuple[str, str], tuple[Record, ...] | None] = {("x.example", "A"): ("127.0.0.1", PUBLIC)}
    assert await _hosts(_exchangers(table)) == [("x.example", PUBLIC)]


@pytest.mark.parametrize("address", [PUBLIC, "2001:503:ba3e::2:30", f"::ffff:{PUBLIC}"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


async def test_own_addresses_are_never_connected_to() -> None:
    table: dict[tuple[str, str], tuple[Record, ...] | None] = {("x.example", "A"): (PUBLIC,)}
    assert await _refusal(_exchangers(table, own_addresses=[PUBLIC])) == "5.4.6"


def test_this_machine_knows_its_own_addresses() -> None:
    assert is_of_this_machine("127.0.0.1")
    assert not is_of_this_machine(PUBLIC)


async def test_only_hosts_better_than_ourselves_are_used() -> None:
    table: dict[tuple[str, str], tuple[Record, ...] | None] = {
        ("x.example", "MX"): (MX(5, "a.example"), MX(10, "gate.example"), MX(20, "b.example")),
        ("y.example", "MX"): (MX(10, "gate.example"), MX(20, "b.example")),
        **{(f"{name}.example", "A"): (PUBLIC,) for name in ("a", "b", "gate")},
    }
    assert await _hosts(_exchangers(table)) == [("a.example", PUBLIC)]
    assert await _refusal(_exchangers(table), "y.example") == "5.4.6"


async def test_ourselves_under_another_name_are_known_by_the_address() -> None:
    other = "198.41.0.5"
    table: dict[tuple[str, str], tuple[Record, ...] | None] = {
        ("x.example", "MX"): (MX(5, "a.example"), MX(10, "c.example"), MX(10, "alias.example"), MX(20, "b.example")),
        ("y.example", "MX"): (MX(10, "alias.example"), MX(20, "b.example")),
        **{(f"{name}.example", "A"): (other,) for name in ("a", "b", "c")},
        ("alias.example", "A"): (PUBLIC,),
    }
    # RFC 5321 §5.1: c is no better than ourselves, and b is worse.
    assert await _hosts(_exchangers(table, own_addresses=[PUBLIC])) == [("a.example", other)]
    assert await _refusal(_exchangers(table, own_addresses=[PUBLIC]), "y.example") == "5.4.6"


async def test_an_address_literal_is_connected_to() -> None:
    assert await _hosts(_exchangers({}), f"[{PUBLIC}]") == [(PUBLIC, PUBLIC)]
    assert await _refusal(_exchangers({}), "[nonsense]") == "5.1.2"


async def test_a_closed_network_may_name_private_hosts() -> None:
    exchangers = _exchangers({("x.example", "A"): ("10.0.0.1",)}, allow_private=True, own_addresses=["10.0.0.2"])
    assert await _hosts(exchangers) == [("x.example", "10.0.0.1")]


async def test_addresses_are_found_if_one_kind_has_no_answer() -> None:
    assert await addresses_of(Records({("a.example", "A"): (PUBLIC,), ("a.example", "AAAA"): None}), "a.example") == (
        PUBLIC,
    )


@pytest.mark.parametrize(
    ("route", "target"),
    [
        ("smtp://a.test", Target(Speech.SMTP, "a.test", "10.0.0.1", 25, named_securely=True)),
        ("smtps://a.test:4465", Target(Speech.SMTPS, "a.test", "10.0.0.1", 4465, named_securely=True)),
        ("lmtp://[::1]", Target(Speech.LMTP, "::1", "::1", 24, named_securely=True)),
        ("lmtp:/run/lmtp", Target(Speech.LMTP, "localhost", path="/run/lmtp", named_securely=True)),
    ],
)
async def test_a_configured_route_may_name_any_host(route: str, target: Target) -> None:
    assert await route_targets(Records({("a.test", "A"): ("10.0.0.1",)}), parse_route(route)) == [target]


async def test_a_configured_host_that_dns_does_not_know_makes_mail_wait() -> None:
    with pytest.raises(DnsTemporary):
        await route_targets(Records({}), parse_route("smtp://a.test"))
