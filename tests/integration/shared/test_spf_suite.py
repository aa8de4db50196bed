"""The openspf suite for RFC 7208, put to check_spf through the resolver and a real nameserver."""

import asyncio
from dataclasses import dataclass

import pytest

from shared.auth.spf_check import check_spf
from shared.auth.spf_result import SpfResult
from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer, Fault
from tests.spf_suite import Case, NoSuite, Scenario, suite

_NO_NAME = "RFC 7208 §4.8 leaves open what a name means that no query can be made of; we take it as one without records"
# Where the suite allows several results, and why.
AMBIGUOUS = {
    "invalid-domain-empty-label": _NO_NAME,
    "invalid-domain-long": _NO_NAME,
    "invalid-domain-long-via-macro": _NO_NAME,
    "multispf1": "RFC 2181 §5: of two equal records DNS makes one, so that nobody sees that there were two",
    "p-macro-multiple": "RFC 7208 §7.3: of several confirmed names, %{p} may be any",
    "ptr-limit": "RFC 7208 §4.6.4: of more than 10 names of the client any 10 may be looked at; DNS gives them in any order",
}
# Long enough for two busy cores: a question that is answered late would look like a TIMEOUT of the suite, and eight of
# them would have the zone given up (shared/dns/silence.py).
LIMIT_S = 4.0
SLOW_S = LIMIT_S / 2


@dataclass(frozen=True, slots=True)
class Outcome:
    case: Case
    result: SpfResult

    @property
    def is_right(self) -> bool:
        wanted = {None: self.result.explanation, "DEFAULT": ""}.get(self.case.explanation, self.case.explanation)
        return self.result.word in self.case.results and self.result.explanation == wanted


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    try:
        return suite()
    except NoSuite as error:
        pytest.skip(f"no suite: {error}")


async def outcomes(scenario: Scenario, fault: Fault) -> list[Outcome]:
    async with DnsServer(scenario.zone) as server:
        for name, rdtype in scenario.silent:
            server.fail(name, rdtype, fault)
        resolver = CachingResolver([server.address], timeout_s=LIMIT_S, slow_s=SLOW_S)
        results = await asyncio.gather(
            *(check_spf(resolver, case.client, case.helo, case.sender, case.receiver) for case in scenario.cases)
        )
        await resolver.close()
    return [Outcome(case, result) for case, result in zip(scenario.cases, results, strict=True)]


async def outcomes_of_all(scenarios: list[Scenario], fault: Fault) -> dict[str, Outcome]:
    """Return each case's outcome. A scenario at a time: all of them at once keep answers waiting on a busy machine."""
    groups = [await outcomes(scenario, fault) for scenario in scenarios]
    return {outcome.case.name: outcome for group in groups for outcome in group}


@pytest.mark.parametrize("fault", [Fault.TIMEOUT, Fault.SERVFAIL])
async def test_every_case_has_a_result_that_the_suite_allows(scenarios: list[Scenario], fault: Fault) -> None:
    found = await outcomes_of_all(scenarios, fault)
    assert len(found) > 200
    assert not [outcome for outcome in found.values() if not outcome.is_right]
    assert {name for name, outcome in found.items() if len(outcome.case.results) > 1} == AMBIGUOUS.keys()
