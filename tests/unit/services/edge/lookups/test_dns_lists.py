"""Asking lists, without a nameserver."""

import asyncio

from services.edge.lookups.dns_lists import DnsLists
from services.edge.lookups.facts import ListFindings
from services.edge.lookups.list_health import ListHealth
from shared.dns.answer import Answer
from shared.policy.names import DnsListRules
from tests.unit.services.edge.lookups.memory import Memory

TWO = DnsListRules.model_validate(
    {"lists": [{"zone": "a.test", "score": 3, "probe": False}, {"zone": "b.test", "score": 4, "probe": False}]}
)


def lists(resolver: Memory, rules: DnsListRules = TWO) -> DnsLists:
    health = ListHealth(resolver)
    health.follow(rules)
    return DnsLists(resolver, health)


async def test_all_lists_are_asked_and_the_heaviest_says_why() -> None:
    resolver = Memory(
        {
            "9.2.0.192.a.test A": "127.0.0.2",
            "9.2.0.192.b.test A": "127.0.0.3",
            "9.2.0.192.a.test TXT": "not fetched",
            "9.2.0.192.b.test TXT": 'see "b.test"\r\n\x1b[0m' + "x" * 500,
        }
    )
    findings = await lists(resolver).ask("192.0.2.9", TWO)
    assert (findings.score, findings.asked, findings.failed) == (7, 2, ())
    assert findings.heaviest is not None
    assert findings.heaviest.text.startswith("see ?b.test????[0mxxx")
    assert len(findings.heaviest.text) == 200
    assert resolver.asked["9.2.0.192.a.test TXT"] == 0


async def test_no_reason_is_fetched_where_nothing_comes_of_it() -> None:
    resolver = Memory({"9.2.0.192.b.test A": "127.0.0.3", "9.2.0.192.b.test TXT": "never read"})
    findings = await lists(resolver).ask("192.0.2.9", TWO)
    assert findings.score == 4
    assert not any(question.endswith("TXT") for question in resolver.asked)


async def test_a_reason_that_cannot_be_fetched_leaves_the_score() -> None:
    resolver = Memory(
        {"9.2.0.192.a.test A": "127.0.0.2", "9.2.0.192.b.test A": "127.0.0.3"}, broken={"9.2.0.192.b.test TXT"}
    )
    asking = lists(resolver)
    findings = await asking.ask("192.0.2.9", TWO)
    assert findings.score == 7
    assert asking.known("192.0.2.9", TWO) == findings


async def test_what_is_remembered_is_told_without_asking() -> None:
    resolver = Memory({"9.2.0.192.a.test A": "127.0.0.2", "9.2.0.192.b.test A": "127.0.0.3"})
    resolver.records["9.2.0.192.b.test TXT"] = "why"
    asking = lists(resolver)
    assert asking.known("192.0.2.9", TWO) is None
    findings = await asking.ask("192.0.2.9", TWO)
    before = resolver.asked.total()
    assert asking.known("192.0.2.9", TWO) == findings
    assert resolver.asked.total() == before
    resolver.forget("9.2.0.192.b.test", "TXT")
    assert asking.known("192.0.2.9", TWO) is None


async def test_a_list_that_fails_weighs_nothing() -> None:
    resolver = Memory({"9.2.0.192.a.test A": "127.0.0.2"}, broken={"9.2.0.192.b.test A"})
    asking = lists(resolver)
    findings = await asking.ask("192.0.2.9", TWO)
    assert (findings.score, findings.failed) == (3, ("b.test",))
    assert asking.known("192.0.2.9", TWO) == findings


async def test_what_came_in_time_counts() -> None:
    class HalfSilent(Memory):
        async def lookup(self, name: str, rdtype: str) -> Answer:
            if "b.test" in name:
                await asyncio.Event().wait()
            return await super().lookup(name, rdtype)

    rules = TWO.model_copy(update={"timeout_s": 0.02})
    findings = await lists(HalfSilent({"9.2.0.192.a.test A": "127.0.0.2"})).ask("192.0.2.9", rules)
    assert (findings.score, findings.failed) == (3, ("b.test",))


async def test_nobody_is_asked_about_addresses_of_our_own() -> None:
    resolver = Memory()
    asking = lists(resolver)
    assert asking.known("127.0.0.1", TWO) == await asking.ask("10.0.0.1", TWO) == ListFindings()
    assert not resolver.asked


async def test_a_list_that_is_not_healthy_is_not_asked() -> None:
    resolver = Memory()
    rules = DnsListRules.model_validate({"lists": [{"zone": "a.test"}]})
    assert await lists(resolver, rules).ask("192.0.2.9", rules) == ListFindings()
    assert not resolver.asked


async def test_a_list_that_lists_everything_is_heard_no_more() -> None:
    resolver = Memory({"*.a.test A": "127.0.0.2"})
    health = ListHealth(resolver)
    health.follow(TWO)
    asking = DnsLists(resolver, health)
    assert {(await asking.ask(f"192.0.2.{number}", TWO)).score for number in range(100)} == {3}
    await health.probe_due()
    assert (await asking.ask("192.0.2.200", TWO)).score == 0
