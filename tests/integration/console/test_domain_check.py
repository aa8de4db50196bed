"""`gatepost domain check` on a planted zone and real servers: it finds each mistake, and none where there is none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.console.actions.desk import ActionError
from services.console.actions.domains import check_domains
from services.console.database import Database
from services.console.domain_check.asking import RouteQuestions
from services.console.domain_check.check import Check, Level, Topic
from services.console.domain_check.fetch import PolicyFetch
from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer, Fault
from tests.integration.console.domain_scene import DOMAIN, PTR, STS, ZONE, Scene, scene, zone_with
from tests.rabbit import Rabbit

Changes = dict[str, dict[str, str | list[str]] | None]
SPF = "v=spf1 ip4:198.51.100.7 -all"
# What is planted, which topic finds it, a piece of what it says, a piece of what it proposes.
MISTAKES: dict[str, tuple[Changes, Topic, str, str]] = {
    "no MX": ({DOMAIN: {"MX": []}}, Topic.MX, "has no MX record", "MX 10 mx.gate.test."),
    "MX to a CNAME": (
        {DOMAIN: {"MX": "10 alias.gate.test."}, "alias.gate.test": {"CNAME": "mx.gate.test."}},
        Topic.MX,
        "alias (CNAME) of mx.gate.test",
        "let the MX be mx.gate.test",
    ),
    "null MX with recipients": ({DOMAIN: {"MX": "0 ."}}, Topic.MX, "null MX", "MX 10 mx.gate.test."),
    "SPF without our address": ({DOMAIN: {"TXT": SPF}}, Topic.SPF, "does not pass: fail", "add ip4:192.0.2.25"),
    "two SPF records": (
        {DOMAIN: {"TXT": ["v=spf1 ip4:192.0.2.25 -all", SPF]}},
        Topic.SPF,
        "2 SPF records",
        "make one of them",
    ),
    "DKIM record absent": ({f"rsa._domainkey.{DOMAIN}": None}, Topic.DKIM, "has no record", "p=AAAA"),
    "DKIM record with another key": (
        {f"ed._domainkey.{DOMAIN}": {"TXT": "v=DKIM1; k=ed25519; p=CCCC"}},
        Topic.DKIM,
        "another key",
        "p=BBBB",
    ),
    "DMARC syntax": ({f"_dmarc.{DOMAIN}": {"TXT": "v=DMARC1; p=rejct"}}, Topic.DMARC, "p=rejct", "correct p="),
    "PTR not confirmed": (
        {PTR: {"PTR": "dynamic.isp.test."}, "dynamic.isp.test": {"A": "192.0.2.99"}},
        Topic.REVERSE,
        "names dynamic.isp.test, which does not have that address",
        "give dynamic.isp.test the address",
    ),
    "on a block list": (
        {"25.2.0.192.bl.test": {"A": "127.0.0.2", "TXT": "spam seen today"}},
        Topic.BLOCK_LISTS,
        "192.0.2.25 is on bl.test: spam seen today",
        "ask for removal",
    ),
}


@pytest.fixture
async def planted(rabbit: Rabbit, sqlite: Database, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(rabbit, sqlite, tmp_path) as made:
        yield made


def bad(checks: list[Check]) -> list[Check]:
    return [one for one in checks if one.level is not Level.OK]


async def test_a_clean_domain_has_no_finding_and_each_planted_mistake_is_found_alone(planted: Scene) -> None:
    clean = await planted.check()
    assert not bad(clean)
    assert [one.topic for one in clean] == sorted((one.topic for one in clean), key=list(Topic).index)
    assert {one.topic for one in clean} == set(Topic)
    for name, (changes, topic, words, mend) in MISTAKES.items():
        planted.dns.replace(zone_with(changes))
        found = bad(await planted.check())
        assert [(one.topic, one.level) for one in found] == [(topic, Level.WRONG)], (name, found)
        assert words in found[0].text, name
        assert mend in found[0].mend, name


async def test_an_mta_sts_policy_that_names_another_host_is_found(planted: Scene) -> None:
    planted.sts = STS.replace("*.gate.test", "mail.old.test")
    (found,) = bad(await planted.check())
    assert (found.topic, found.level) == (Topic.MTA_STS, Level.WRONG)
    assert "does not name the MX mx.gate.test" in found.text


async def test_a_route_with_an_expired_certificate_is_found_and_its_date_told(planted: Scene) -> None:
    await planted.apply(f"smtp://hop.test:{planted.expired.port}")
    found = bad(await planted.check())
    assert {(one.topic, one.level) for one in found} == {(Topic.ROUTE, Level.WRONG)}
    assert any("has expired on" in one.text for one in found)
    assert any("cannot be reached" in one.text for one in found)
    assert not planted.expired.mails


async def test_a_domain_that_is_not_ours_is_not_checked(planted: Scene) -> None:
    with pytest.raises(ActionError, match=r"elsewhere\.test is none of our domains"):
        await check_domains(planted.desk, ["elsewhere.test"])


async def test_dns_that_is_silent_makes_nothing_wrong(planted: Scene) -> None:
    # Delivery has the route's host in its cache by then.
    assert not bad(await planted.check())
    planted.dns.fail("*", "TXT", Fault.SERVFAIL)
    assert {one.level for one in bad(await planted.check())} == {Level.UNKNOWN}


async def test_nobody_who_answers_is_said(rabbit: Rabbit) -> None:
    questions = RouteQuestions(rabbit.settings("console"), deadline_s=0.5)
    try:
        assert "nobody answered within 0.5 s" in (await questions.ask(DOMAIN)).problem
    finally:
        await questions.close()


async def test_a_policy_over_https_must_have_a_good_certificate(planted: Scene) -> None:
    async with DnsServer(ZONE) as dns:
        resolver = CachingResolver([dns.address])
        fetched = await PolicyFetch(resolver, planted.fetching.port).fetch(DOMAIN)
        assert "certificate" in fetched.problem
        lost = await PolicyFetch(resolver, 1).fetch(DOMAIN)
        assert lost.problem
        nowhere = await PolicyFetch(resolver, planted.fetching.port).fetch("nowhere.test")
        assert "has no address" in nowhere.problem
        await resolver.close()
    await asyncio.sleep(0)
