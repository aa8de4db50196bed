"""Which lists may be believed."""

import asyncio
from ipaddress import ip_address

import pytest
from prometheus_client import REGISTRY

from services.edge.lookups.list_health import ListHealth
from services.edge.lookups.list_probe import DRAWN
from shared.policy.names import DnsListRules
from tests.unit.services.edge.lookups.memory import Memory

GOOD: dict[str, str | list[str]] = {"2.0.0.127.l.test A": "127.0.0.2"}
NIBBLES = "0.0.f.7.f.f.f.f" + ".0" * 20

CLIENTS = ip_address("198.51.100.0")


def rules(**more: object) -> DnsListRules:
    one = {"zone": "l.test"} | {key: more.pop(key) for key in ("ipv6", "probe", "answers") if key in more}
    return DnsListRules.model_validate({"lists": [one], **more})


class Watched:
    """A health whose changes are kept."""

    def __init__(self, resolver: Memory, policy: DnsListRules, **more: float) -> None:
        self.changes: list[tuple[str, str]] = []
        self.changed = asyncio.Event()
        self.health = ListHealth(resolver, on_change=self._note, **more)
        self.health.follow(policy)

    def _note(self, zone: str, cause: str) -> None:
        self.changes.append((zone, cause))
        self.changed.set()

    @property
    def is_up(self) -> bool:
        metric = REGISTRY.get_sample_value("gatepost_edge_dns_list_up", {"zone": "l.test"})
        assert metric == self.health.is_up("l.test")
        return self.health.is_up("l.test")

    def crowd(self, listed: int, others: int) -> None:
        for number in range(listed + others):
            self.health.note("l.test", CLIENTS + number, listed=number < listed)


async def test_a_list_counts_once_its_probe_has_succeeded() -> None:
    watched = Watched(Memory(GOOD), rules())
    assert not watched.is_up
    await watched.health.probe_due()
    assert watched.is_up
    assert watched.changes == [("l.test", "")]


@pytest.mark.parametrize(
    ("records", "cause"),
    [
        ({}, "it does not list 127.0.0.2, which every list has"),
        ({**GOOD, "1.0.0.127.l.test A": "127.0.0.2"}, "it lists 127.0.0.1, which no list may have"),
        ({"2.0.0.127.l.test A": "127.255.255.254"}, "it answers with an error, 127.255.255.254"),
        # A list that refuses everybody the service, and a domain that was sold.
        (
            {"2.0.0.127.l.test A": "127.255.255.252", "1.0.0.127.l.test A": "127.255.255.252"},
            "it answers with an error, 127.255.255.252",
        ),
        (
            {"2.0.0.127.l.test A": "203.0.113.80", "1.0.0.127.l.test A": "203.0.113.80"},
            "it answers with an error, 203.0.113.80",
        ),
        ({f"2.0.0.0.{NIBBLES}.l.test A": "127.255.255.254"}, "it does not list 127.0.0.2, which every list has"),
    ],
)
async def test_a_list_that_fails_its_probe_stands_aside(records: dict[str, str | list[str]], cause: str) -> None:
    watched = Watched(Memory(records), rules())
    await watched.health.probe_due()
    assert not watched.is_up
    assert watched.changes == [("l.test", cause)]


async def test_a_list_of_ipv6_alone_has_entries_of_its_own() -> None:
    alive: dict[str, str | list[str]] = {f"2.0.0.0.{NIBBLES}.l.test A": "127.0.0.2"}
    everything = {**alive, f"1.0.0.0.{NIBBLES}.l.test A": "127.0.0.2"}
    for records, policy, up in (
        (alive, rules(), True),
        (everything, rules(), False),
        (alive, rules(ipv6=False), False),
    ):
        watched = Watched(Memory(records), policy)
        await watched.health.probe_due()
        assert watched.is_up is up


async def test_a_list_whose_probe_cannot_be_done_stands_aside() -> None:
    resolver = Memory(GOOD, broken={"* A"})
    watched = Watched(resolver, rules(), unsure_retry_s=0)
    await watched.health.probe_due()
    assert watched.changes == [("l.test", "DNS gave no answer to its probe")]
    resolver.broken.clear()
    await watched.health.probe_due()
    assert watched.is_up


async def test_a_list_without_probes_counts_at_once() -> None:
    resolver = Memory()
    watched = Watched(resolver, rules(probe=False))
    assert watched.is_up
    await watched.health.probe_due()
    assert not resolver.asked


async def test_a_list_whose_name_leaves_no_room_for_an_address_stands_aside() -> None:
    zone = ".".join(["x" * 60] * 4)
    health = ListHealth(Memory())
    health.follow(DnsListRules.model_validate({"lists": [{"zone": zone}]}))
    await health.probe_due()
    assert not health.is_up(zone)


async def test_a_list_that_lists_everything_stands_aside_until_it_behaves() -> None:
    resolver = Memory({"*.l.test A": "127.0.0.2"})
    watched = Watched(resolver, rules(probe=False).model_copy(update={"probe_interval_s": 0}))
    watched.crowd(96, 4)
    await watched.health.probe_due()
    assert not watched.is_up
    assert watched.changes == [("l.test", "it lists every address, whichever it is asked about")]
    # As long as it does.
    await watched.health.probe_due()
    assert not watched.is_up
    resolver.records.clear()
    await watched.health.probe_due()
    assert watched.is_up
    assert len(watched.changes) == 2
    # What it has listed before is forgotten.
    watched.crowd(99, 0)
    before = resolver.asked.total()
    await watched.health.probe_due()
    assert resolver.asked.total() == before


async def test_a_crowd_of_listed_clients_does_not_switch_a_good_list_off() -> None:
    watched = Watched(Memory(GOOD), rules())
    await watched.health.probe_due()
    for _ in range(3):
        watched.crowd(100, 0)
        await watched.health.probe_due()
        assert watched.is_up


async def test_a_suspicion_that_dns_leaves_open_makes_a_list_stand_aside() -> None:
    resolver = Memory(broken={"* A"})
    watched = Watched(resolver, rules(probe=False), unsure_retry_s=0)
    watched.crowd(100, 0)
    await watched.health.probe_due()
    assert not watched.is_up
    resolver.broken.clear()
    await watched.health.probe_due()
    assert watched.is_up


@pytest.mark.parametrize(("address", "version"), [("203.0.113.0", "4"), ("2001:db8::", "6")])
async def test_addresses_are_drawn_from_the_family_of_the_clients(address: str, version: str) -> None:
    resolver = Memory()
    watched = Watched(resolver, rules(probe=False))
    for number in range(100):
        watched.health.note("l.test", ip_address(address) + number, listed=True)
    await watched.health.probe_due()
    assert len(resolver.asked) == DRAWN
    assert {len(question.split(".")) for question in resolver.asked} == {{"4": 6, "6": 34}[version]}


async def test_a_share_of_one_suspects_nobody() -> None:
    resolver = Memory({"*.l.test A": "127.0.0.2"})
    watched = Watched(resolver, rules(probe=False, max_hit_share=1))
    watched.crowd(300, 0)
    await watched.health.probe_due()
    assert watched.is_up
    assert not resolver.asked


async def test_probes_go_on_in_the_background() -> None:
    resolver = Memory()
    watched = Watched(resolver, rules().model_copy(update={"probe_interval_s": 0.01}))
    watched.health.start()
    async with asyncio.timeout(10):
        await watched.changed.wait()
        assert not watched.is_up
        watched.changed.clear()
        resolver.records.update(GOOD)
        await watched.changed.wait()
        assert watched.is_up
        watched.changed.clear()
        resolver.records.clear()
        await watched.changed.wait()
        assert not watched.is_up
    await watched.health.close()


async def test_a_new_policy_keeps_what_is_known_and_probes_what_is_new() -> None:
    resolver = Memory({**GOOD, "2.0.0.127.m.test A": "127.0.0.2"})
    watched = Watched(resolver, rules())
    await watched.health.probe_due()
    both = DnsListRules.model_validate({"lists": [{"zone": "l.test"}, {"zone": "m.test"}]})
    watched.health.follow(both)
    assert watched.is_up
    assert not watched.health.is_up("m.test")
    await watched.health.probe_due()
    assert watched.health.is_up("m.test")
    assert resolver.asked["2.0.0.127.l.test A"] == 1
    # A list whose rules have changed is a new one; one that has left is nothing at all.
    watched.health.follow(rules(ipv6=False))
    assert not watched.is_up
    assert not watched.health.is_up("m.test")
    assert REGISTRY.get_sample_value("gatepost_edge_dns_list_up", {"zone": "m.test"}) is None


async def test_a_probe_that_ends_after_a_new_policy_changes_nothing() -> None:
    resolver = Memory(GOOD)
    watched = Watched(resolver, rules())
    probing = asyncio.create_task(watched.health.probe_due())
    watched.health.follow(DnsListRules())
    await probing
    assert watched.changes == []
