"""All that is looked up about a client."""

import asyncio

import pytest

from services.edge.lookups.client import ClientLookups, ClientNames
from services.edge.lookups.facts import ListFindings
from shared.policy import Policy, parse_policy
from tests.unit.services.edge.lookups.memory import Memory

NAMED: dict[str, str | list[str]] = {"9.2.0.192.in-addr.arpa PTR": "a.example", "a.example A": "192.0.2.9"}
NO_REVERSE = "[reverse]\nenabled = false\n"
ONE_LIST = '[dns_lists]\nlists = [{ zone = "l.test", probe = false }]\n'
NAME_RULE = '[[access]]\naction = "allow"\nreverse_names = [".example"]\n'


def looking(resolver: Memory, text: str) -> tuple[ClientLookups, Policy]:
    policy, lookups = parse_policy(text), ClientLookups(resolver)
    lookups.follow(policy)
    return lookups, policy


@pytest.mark.parametrize(
    ("text", "lists", "asked"),
    [
        ("", True, {"PTR", "A"}),
        (NO_REVERSE, True, set()),
        (NO_REVERSE + NAME_RULE, True, {"PTR", "A"}),
        (NO_REVERSE + ONE_LIST, True, {"l.test"}),
        (NO_REVERSE + ONE_LIST, False, set()),
        (ONE_LIST, True, {"PTR", "A", "l.test"}),
    ],
)
async def test_what_nobody_needs_is_not_asked(text: str, lists: bool, asked: set[str]) -> None:
    resolver = Memory(NAMED)
    lookups, policy = looking(resolver, text)
    names = await lookups.about("192.0.2.9", policy, lists=lists)
    kinds = {"l.test" if "l.test" in question else question.partition(" ")[2] for question in resolver.asked}
    assert kinds == asked
    assert (names.reverse is not None) == ("PTR" in asked)
    assert (names.findings is not None) == ("l.test" in asked)


async def test_name_and_lists_come_together() -> None:
    resolver = Memory({**NAMED, "9.2.0.192.l.test A": "127.0.0.2"})
    lookups, policy = looking(resolver, ONE_LIST)
    names = await lookups.about("192.0.2.9", policy)
    assert names.reverse is not None
    assert names.findings is not None
    assert (names.reverse.name, names.findings.score) == ("a.example", 5)


@pytest.mark.parametrize("forgotten", ["9.2.0.192.in-addr.arpa PTR", "9.2.0.192.l.test A"])
async def test_only_what_is_not_remembered_is_asked(forgotten: str) -> None:
    resolver = Memory({**NAMED, "9.2.0.192.l.test A": "127.0.0.2"})
    lookups, policy = looking(resolver, ONE_LIST)
    names = await lookups.about("192.0.2.9", policy)
    resolver.asked.clear()
    name, _, rdtype = forgotten.partition(" ")
    resolver.forget(name, rdtype)
    assert await lookups.about("192.0.2.9", policy) == names
    assert resolver.asked == {forgotten: 1}


async def test_what_is_remembered_costs_no_turn_of_the_loop() -> None:
    resolver = Memory(NAMED)
    lookups, policy = looking(resolver, ONE_LIST)
    names = await lookups.about("192.0.2.9", policy)
    before = asyncio.all_tasks()
    with pytest.raises(StopIteration) as ended:
        lookups.about("192.0.2.9", policy).send(None)
    assert ended.value.value == names
    assert asyncio.all_tasks() == before


async def test_without_a_database_the_country_is_not_known() -> None:
    lookups, _ = looking(Memory(), "")
    assert lookups.country("192.0.2.9") is None


async def test_it_starts_and_closes() -> None:
    resolver = Memory({"2.0.0.127.l.test A": "127.0.0.2"})
    changes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    lookups = ClientLookups(resolver, on_list_change=lambda zone, cause: changes.put_nowait((zone, cause)))
    lookups.start()
    policy = parse_policy('[dns_lists]\nlists = [{ zone = "l.test" }]\n[reverse]\nenabled = false\n')
    assert await lookups.about("192.0.2.9", policy) == ClientNames(None, ListFindings())
    lookups.follow(policy)
    async with asyncio.timeout(10):
        assert await changes.get() == ("l.test", "")
    names = await lookups.about("192.0.2.9", policy)
    assert names.findings == ListFindings(asked=1)
    await lookups.close()
