"""Sending each day's reports on TLS, once (I/O: SQL, DNS, broker, https).

A report goes to all who are named in the domain's record; it counts as sent when one of them has taken it. One that
nobody takes is tried again for a day, after ever longer pauses. A crash between sending and noting it sends it again,
under the same report id.
Standards: RFC 8460 §3, §4.1, §5.
On failure: logged, and tried again.
"""

import asyncio
import time
from collections.abc import Callable, Iterator

import structlog
from prometheus_client import Counter
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from services.console.actions.desk import ActionError, Desk
from services.console.reports.days import KEPT_DAYS, SETTLED_S
from services.console.reports.gathered import Gathered
from services.console.reports.hand_over import hand_over
from services.console.reports.reporter import reporter
from services.console.reports.rounds import run_rounds
from services.console.tables import dkim_keys, tls_reports, tls_seen
from services.console.tls_reports.aggregate import Aggregate
from services.console.tls_reports.document import Report, report_on
from services.console.tls_reports.mail import report_mail
from services.console.tls_reports.post import Poster, PostFailed
from services.console.tls_reports.record import NOTHING, Wanted, wanted
from services.console.tls_reports.when import first_try_at, next_try_at
from shared.dkim_keys import KeyState
from shared.dmarc_seen import DAY_S
from shared.dns.answer import BadName, DnsTemporary, Resolver
from shared.ids import new_id
from shared.policy.delivery import TlsReportRules
from shared.tls_seen import read_seen

_log = structlog.get_logger()
_sent = Counter("gatepost_tls_reports_total", "Reports on TLS by what became of them", ["outcome"])

# The busiest; the sessions with others are forgotten.
DOMAINS_A_DAY = 20_000
_DOMAINS_A_ROUND = 50_000
# Most wait for DNS, or for a web server that may take its time.
_AT_ONCE = 8
# Longer than one domain's report takes, with several slow web servers.
_CLAIM_S = 600.0


class TlsReports:
    """The reports of one recorder. rules: the policy in force, None while it is not known. clock: Unix seconds."""

    def __init__(
        self,
        desk: Desk,
        resolver: Resolver,
        poster: Poster,
        rules: Callable[[], TlsReportRules | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._desk = desk
        self._resolver = resolver
        self._poster = poster
        self._rules = rules
        self._clock = clock
        self._gathered = Gathered(desk.database, tls_seen, tls_reports)

    async def run_for_ever(self) -> None:
        """Send what is due, every quarter of an hour, until cancelled."""
        await run_rounds("tls", self._round)

    async def _round(self) -> None:
        rules = self._rules()
        if rules is not None and rules.enabled:
            await self.send_due(rules)
        await self.forget_old()

    async def send_due(self, rules: TlsReportRules, limit: int = DOMAINS_A_DAY) -> int:
        """Send the reports of all days that are over and have none yet; return how many were sent. limit: a day's."""
        now = self._clock()
        before_day = int((now - SETTLED_S) // DAY_S)
        if beyond := await self._gathered.shed(before_day, limit):
            _log.warning("tls-reports-left-out", domains=beyond, limit_a_day=limit)
        hostname = self._desk.settings.hostname
        found = await self._gathered.due(before_day, now, _DOMAINS_A_ROUND)
        due = iter([(day, domain) for day, domain in found if first_try_at(day, domain, hostname) <= now])
        try:
            async with asyncio.TaskGroup() as group:
                workers = [group.create_task(self._work(due, rules)) for _ in range(_AT_ONCE)]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return sum(worker.result() for worker in workers)

    async def forget_old(self) -> None:
        """Forget what was reported, and what is too old to be."""
        oldest = int(self._clock() // DAY_S) - KEPT_DAYS
        await self._gathered.forget(oldest, oldest - KEPT_DAYS)

    async def _work(self, due: Iterator[tuple[int, str]], rules: TlsReportRules) -> int:
        return sum([await self._one(day, domain, rules) for day, domain in due])

    async def _one(self, day: int, domain: str, rules: TlsReportRules) -> int:
        now = self._clock()
        if not await self._gathered.claim(day, domain, now, now + _CLAIM_S):
            return 0
        try:
            sent_to = await self._report(day, domain, rules)
        except SQLAlchemyError:
            raise  # the round ends; the claim ends by itself
        except Exception as error:  # of one domain, which must not keep those of others
            await self._try_later(day, domain, error)
            return 0
        await self._gathered.finish(day, domain, sent_to, self._clock())
        _sent.labels("sent" if sent_to else "nobody").inc()
        if sent_to:
            _log.info("tls-report", domain=domain, day=day, to=sent_to)
        return 1 if sent_to else 0

    async def _try_later(self, day: int, domain: str, error: Exception) -> None:
        now = self._clock()
        until = next_try_at(first_try_at(day, domain, self._desk.settings.hostname), now)
        cause = str(error) or type(error).__name__
        expected = isinstance(error, DnsTemporary | ActionError | PostFailed | ValueError)
        if until is None:
            await self._gathered.finish(day, domain, [], now)
            _sent.labels("given-up").inc()
            _log.warning("tls-report-given-up", domain=domain, day=day, cause=cause, exc_info=not expected)
            return
        await self._gathered.postpone(day, domain, until)
        _sent.labels("waits").inc()
        _log.warning("tls-report-waits", domain=domain, day=day, cause=cause, exc_info=not expected)

    async def _report(self, day: int, domain: str, rules: TlsReportRules) -> list[str]:
        """Send a domain's report; return who took it, nobody if none wants it. Raises what kept it from all."""
        to = await self._wanted(domain)
        if not to:
            return []
        found = Aggregate()
        async for facts, count in self._gathered.facts(day, domain):
            found.add(read_seen(facts), count)
        who = reporter(rules, self._desk.settings.hostname, "tls-reports", day, "tls", domain, day)
        # Thousands of failures take their time; all other domains wait meanwhile.
        report = await asyncio.to_thread(report_on, domain, found.results(), who)
        taken_by: list[str] = []
        failed: list[ActionError | PostFailed] = []
        for url in to.urls:
            try:
                await self._poster.post(url, report.content)
                taken_by.append(url)
            except PostFailed as error:
                failed.append(error)
        if to.mailboxes:
            try:
                await self._mail(report, list(to.mailboxes))
                taken_by += to.mailboxes
            except ActionError as error:
                failed.append(error)
        # RFC 8460 §3: sent, when one of them has accepted it.
        if not taken_by:
            raise failed[0]
        for cause in failed:
            _log.warning("tls-report-not-taken", domain=domain, day=day, cause=str(cause))
        return taken_by

    async def _wanted(self, domain: str) -> Wanted:
        try:
            return wanted((await self._resolver.lookup(f"_smtp._tls.{domain}", "TXT")).texts())
        except BadName:
            return NOTHING

    async def _mail(self, report: Report, recipients: list[str]) -> None:
        # RFC 8460 §3: receivers ignore reports that are not signed.
        sender = report.reporter.email
        if not await self._is_signed(sender):
            mend = f"gatepost dkim add {sender.rpartition('@')[2]}"
            _log.warning("tls-report-unsigned", domain=report.domain, sender=sender, mend=mend)
        await hand_over(self._desk, *report_mail(report, recipients, new_id(), self._clock()))

    async def _is_signed(self, sender: str) -> bool:
        """Whether delivery has a key for the domain of the reports' sender, or one above it."""
        labels = sender.rpartition("@")[2].lower().split(".")
        names = [".".join(labels[place:]) for place in range(len(labels))]
        query = select(func.count()).select_from(dkim_keys)
        query = query.where(dkim_keys.c.domain.in_(names), dkim_keys.c.state == KeyState.ACTIVE.value)
        async with self._desk.database.reading() as connection:
            return bool(await connection.scalar(query))
