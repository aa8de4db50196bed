"""Sending each day's aggregate reports, once (I/O: SQL, DNS, broker).

A report that DNS or the broker keeps from being sent waits for the next round; after a week it is given up. A crash
between sending and noting it sends it again, under the same report id.
On failure: logged, and tried again at the next round.
"""

import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from services.console.actions.desk import ActionError, Desk
from services.console.dmarc.aggregate import MAX_ROWS, aggregate
from services.console.dmarc.destinations import destinations
from services.console.dmarc.mail import report_mail
from services.console.reports.days import KEPT_DAYS, SETTLED_S
from services.console.reports.gathered import Gathered
from services.console.reports.hand_over import hand_over
from services.console.reports.reporter import reporter
from services.console.reports.rounds import run_rounds
from services.console.tables import dmarc_reports, dmarc_seen
from shared.dmarc_seen import DAY_S, DmarcSeen, read_seen
from shared.dns.answer import DnsTemporary, Resolver
from shared.ids import new_id
from shared.policy.content import DmarcReportRules

_log = structlog.get_logger()
_sent = Counter("gatepost_dmarc_reports_total", "Aggregate reports by what became of them", ["outcome"])

_DOMAINS_A_ROUND = 50_000
# Longer than one domain's reports take.
_CLAIM_S = 300.0


class DailyReports:
    """The reports of one recorder. rules: the policy in force, None while it is not known."""

    def __init__(self, desk: Desk, resolver: Resolver, rules: Callable[[], DmarcReportRules | None]) -> None:
        self._desk = desk
        self._resolver = resolver
        self._rules = rules
        self._gathered = Gathered(desk.database, dmarc_seen, dmarc_reports)

    async def run_for_ever(self) -> None:
        """Send what is due, every quarter of an hour, until cancelled."""
        await run_rounds("dmarc", self._round)

    async def _round(self) -> None:
        rules = self._rules()
        if rules is not None and rules.enabled:
            await self.send_due(rules, time.time())
        await self.forget_old(time.time())

    async def send_due(self, rules: DmarcReportRules, now: float) -> int:
        """Send the reports of all days that are over and have none yet; return how many were sent."""
        count = 0
        for day, domain in await self._gathered.due(int((now - SETTLED_S) // DAY_S), now, _DOMAINS_A_ROUND):
            try:
                count += await self._report(day, domain, rules, now)
            except (DnsTemporary, ActionError, ValueError) as error:
                _sent.labels("waits").inc()
                _log.warning("dmarc-report-waits", domain=domain, day=day, cause=str(error))
        return count

    async def forget_old(self, now: float) -> None:
        """Forget what was reported, and what is too old to be."""
        oldest = int(now // DAY_S) - KEPT_DAYS
        await self._gathered.forget(oldest, oldest - KEPT_DAYS)

    async def _report(self, day: int, domain: str, rules: DmarcReportRules, now: float) -> int:
        found = aggregate(*await self._evaluations(day, domain))
        wanted = [
            (one, await destinations(self._resolver, domain, one.organization, one.rua)) for one in found if one.rua
        ]
        # The round may have begun long ago.
        started = max(now, time.time())
        if not await self._gathered.claim(day, domain, started, started + _CLAIM_S):
            return 0
        sent_to: list[str] = []
        count = 0
        try:
            for place, (one, recipients) in enumerate(wanted):
                if recipients:
                    who = reporter(rules, self._desk.settings.hostname, "dmarc-reports", day, domain, day, place)
                    await hand_over(self._desk, *report_mail(one, who, recipients, new_id(), now))
                    sent_to += recipients
                    count += 1
        except ActionError:
            await self._gathered.postpone(day, domain, now)
            raise
        await self._gathered.finish(day, domain, sent_to, now)
        _sent.labels("sent" if count else "nobody").inc()
        _log.info("dmarc-report", domain=domain, day=day, reports=count, to=sent_to)
        return count

    async def _evaluations(self, day: int, domain: str) -> tuple[list[tuple[DmarcSeen, int]], int]:
        """Return the most frequent evaluations with their counts, and how many messages had others."""
        counted: list[tuple[DmarcSeen, int]] = []
        left_out = 0
        async for facts, number in self._gathered.facts(day, domain):
            if len(counted) < MAX_ROWS:
                counted.append((read_seen(facts), number))
            else:
                left_out += number
        return counted, left_out
