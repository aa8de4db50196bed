"""Asking DNS block and allow lists about a client (I/O: resolver).

Output: ListFindings. Standards: RFC 5782.
On failure: a list that gives no answer in time, or an error for an answer, is named in `failed` and weighs nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from prometheus_client import Counter

from services.edge.decide.names import acts_from
from services.edge.lookups.facts import Hit, ListFindings
from services.edge.lookups.list_health import ListHealth
from services.edge.lookups.questions import is_asked_about, lists_for, question, weigh
from shared.auth.spf_result import plain
from shared.dns.answer import Answer, BadName, DnsTemporary, Resolver
from shared.policy.client import plain_ip
from shared.policy.names import DnsList, DnsListRules
from shared.policy.table import IpAddress

_MAX_TEXT_CHARACTERS = 200
_ANSWERS = Counter("gatepost_edge_dns_list_answers_total", "Answers of DNS lists about clients", ["zone", "result"])

_Said = tuple[IPv4Address, ...] | None


class DnsLists:
    """All lists of the policy, as far as they are healthy."""

    def __init__(self, resolver: Resolver, health: ListHealth) -> None:
        self._resolver = resolver
        self._health = health

    def known(self, address: str, rules: DnsListRules) -> ListFindings | None:
        """Return what the lists say, if the resolver remembers all of it; else None."""
        client = plain_ip(address)
        lists = self._lists_for(client, rules)
        answers: dict[str, _Said] = {}
        for one in lists:
            try:
                answer = self._resolver.cached(question(client, one.zone), "A")
            except (DnsTemporary, BadName):
                answers[one.zone] = None
                continue
            if answer is None:
                return None
            answers[one.zone] = _addresses(answer)
        findings = weigh(lists, answers)
        hit = _hit_to_explain(rules, findings)
        if hit is not None:
            try:
                answer = self._resolver.cached(question(client, hit.zone), "TXT")
            except DnsTemporary:
                pass
            else:
                if answer is None:
                    return None
                findings = _explained(findings, hit, answer)
        return self._noted(lists, client, findings)

    async def ask(self, address: str, rules: DnsListRules) -> ListFindings:
        """Return what the lists say within the time. Raises nothing but cancellation."""
        client = plain_ip(address)
        lists = self._lists_for(client, rules)
        answers: dict[str, _Said] = {}
        findings = ListFindings()
        try:
            async with asyncio.timeout(rules.timeout_s):
                try:
                    async with asyncio.TaskGroup() as group:
                        for one in lists:
                            group.create_task(self._ask_one(client, one, answers))
                finally:
                    findings = weigh(lists, answers)
                if hit := _hit_to_explain(rules, findings):
                    answer = await self._resolver.lookup(question(client, hit.zone), "TXT")
                    findings = _explained(findings, hit, answer)
        except (TimeoutError, DnsTemporary):
            # What came in time counts.
            pass
        return self._noted(lists, client, findings)

    def _lists_for(self, client: IpAddress, rules: DnsListRules) -> list[DnsList]:
        if not is_asked_about(client):
            return []
        return [one for one in lists_for(rules.lists, client) if self._health.is_up(one.zone)]

    async def _ask_one(self, client: IpAddress, one: DnsList, answers: dict[str, _Said]) -> None:
        try:
            answers[one.zone] = _addresses(await self._resolver.lookup(question(client, one.zone), "A"))
        except (DnsTemporary, BadName):
            answers[one.zone] = None

    def _noted(self, lists: Sequence[DnsList], client: IpAddress, findings: ListFindings) -> ListFindings:
        listed = {hit.zone for hit in findings.hits}
        for one in lists:
            if one.zone in findings.failed:
                _ANSWERS.labels(one.zone, "failed").inc()
                continue
            _ANSWERS.labels(one.zone, "listed" if one.zone in listed else "not-listed").inc()
            self._health.note(one.zone, client, listed=one.zone in listed)
        return findings


def _addresses(answer: Answer) -> tuple[IPv4Address, ...]:
    return tuple(map(IPv4Address, answer.addresses()))


def _hit_to_explain(rules: DnsListRules, findings: ListFindings) -> Hit | None:
    """Return the hit that the client will be told; for others nobody reads the reason."""
    return findings.heaviest if findings.score >= acts_from(rules) else None


def _explained(findings: ListFindings, hit: Hit, answer: Answer) -> ListFindings:
    texts = answer.texts()
    if not texts:
        return findings
    explained = replace(hit, text=plain(texts[0].decode("utf-8", "replace"), _MAX_TEXT_CHARACTERS))
    return replace(findings, hits=tuple(explained if one is hit else one for one in findings.hits))
