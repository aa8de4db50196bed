"""Sending each day's aggregate reports, once (I/O: SQL, DNS, broker).

Owns: which day's reports are due, and that no two recorders send the same one.
A report that DNS or the broker keeps from being sent waits for the next round; after a week it is given up. A crash
between sending and noting it sends it again, under the same report id.
On failure: logged, and tried again at the next round.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from services.console.actions.desk import ActionError, Desk
from services.console.dmarc.aggregate import MAX_ROWS, Aggregate, aggregate
from services.console.dmarc.destinations import destinations
from services.console.dmarc.feedback import Reporter
from services.console.dmarc.mail import report_mail
from services.console.tables import dmarc_reports, dmarc_seen
from shared.broker.topology import Exchange, Key
from shared.dmarc_seen import DAY_S, DmarcSeen, read_seen
from shared.dns.answer import DnsTemporary, Resolver
from shared.ids import new_id
from shared.policy.content import DmarcReportRules
from shared.wire import MAIL_TYPE, mail_headers

_log = structlog.get_logger()
_sent = Counter("gatepost_dmarc_reports_total", "Aggregate reports by what became of them", ["outcome"])

ROUND_S = 900.0
KEPT_DAYS = 7
# What happened at the end of a day may be told a little later.
_SETTLED_S = 3600


class DailyReports:
    """The reports of one recorder. rules: the policy in force, None while it is not known."""

    def __init__(self, desk: Desk, resolver: Resolver, rules: Callable[[], DmarcReportRules | None]) -> None:
        self._desk = desk
        self._resolver = resolver
        self._rules = rules

    async def run_for_ever(self) -> None:
        """Send what is due, every quarter of an hour, until cancelled."""
        while True:
            rules = self._rules()
            try:
                if rules is not None and rules.enabled:
                    await self.send_due(rules, time.time())
                await self.forget_old(time.time())
            except SQLAlchemyError as error:
                _log.warning("dmarc-reports-wait", cause=type(error).__name__)
            except Exception:  # a defect here must not end the recorder
                _log.exception("dmarc-reports-failed")
            await asyncio.sleep(ROUND_S)

    async def send_due(self, rules: DmarcReportRules, now: float) -> int:
        """Send the reports of all days that are over and have none yet; return how many were sent."""
        count = 0
        for day, domain in await self._due(int((now - _SETTLED_S) // DAY_S)):
            try:
                count += await self._report(day, domain, rules, now)
            except (DnsTemporary, ActionError, ValueError) as error:
                _sent.labels("waits").inc()
                _log.warning("dmarc-report-waits", domain=domain, day=day, cause=str(error))
        return count

    async def forget_old(self, now: float) -> None:
        """Forget what was reported, and what is too old to be."""
        oldest = int(now // DAY_S) - KEPT_DAYS
        async with self._desk.database.writing() as connection:
            await connection.execute(delete(dmarc_seen).where(dmarc_seen.c.day < oldest))
            await connection.execute(delete(dmarc_reports).where(dmarc_reports.c.day < oldest - KEPT_DAYS))

    async def _due(self, today: int) -> list[tuple[int, str]]:
        done = (dmarc_reports.c.day == dmarc_seen.c.day) & (dmarc_reports.c.domain == dmarc_seen.c.domain)
        query = (
            select(dmarc_seen.c.day, dmarc_seen.c.domain)
            .distinct()
            .where(dmarc_seen.c.day < today, ~select(dmarc_reports.c.day).where(done).exists())
            .order_by(dmarc_seen.c.day, dmarc_seen.c.domain)
        )
        async with self._desk.database.reading() as connection:
            return [(row.day, row.domain) for row in await connection.execute(query)]

    async def _report(self, day: int, domain: str, rules: DmarcReportRules, now: float) -> int:
        found = aggregate(*await self._evaluations(day, domain))
        wanted = [
            (one, await destinations(self._resolver, domain, one.organization, one.rua)) for one in found if one.rua
        ]
        count = 0
        sent_to: list[str] = []
        try:
            async with self._desk.database.writing() as connection:
                row = {"day": day, "domain": domain, "sent_to": "", "at": now}
                # Whoever writes the row first sends; another recorder waits for this transaction, and then finds it.
                await connection.execute(dmarc_reports.insert(), [row])
                for place, (one, recipients) in enumerate(wanted):
                    if recipients:
                        await self._send(one, recipients, self._reporter(day, domain, place, rules), now)
                        sent_to += recipients
                        count += 1
                this = (dmarc_reports.c.day == day) & (dmarc_reports.c.domain == domain)
                await connection.execute(dmarc_reports.update().where(this).values(sent_to=", ".join(sent_to)))
                gone = (dmarc_seen.c.day == day) & (dmarc_seen.c.domain == domain)
                await connection.execute(delete(dmarc_seen).where(gone))
        except IntegrityError:
            return 0
        _sent.labels("sent" if count else "nobody").inc()
        _log.info("dmarc-report", domain=domain, day=day, reports=count, to=sent_to)
        return count

    async def _evaluations(self, day: int, domain: str) -> tuple[list[tuple[DmarcSeen, int]], int]:
        """Return the most frequent evaluations with their counts, and how many messages had others.

        The database counts: whoever sends us a million messages a day must not fill our memory with them.
        """
        here = (dmarc_seen.c.day == day) & (dmarc_seen.c.domain == domain)
        count = func.count()
        query = select(dmarc_seen.c.facts, count).where(here).group_by(dmarc_seen.c.facts).order_by(count.desc())
        async with self._desk.database.reading() as connection:
            found = (await connection.execute(query.limit(MAX_ROWS))).all()
            total = (await connection.execute(select(func.count()).where(here))).scalar_one()
        counted = [(read_seen(str(facts)), int(number)) for facts, number in found]
        return counted, int(total) - sum(number for _, number in counted)

    def _reporter(self, day: int, domain: str, place: int, rules: DmarcReportRules) -> Reporter:
        hostname = self._desk.settings.hostname
        return Reporter(
            hostname=hostname,
            organization=rules.organization or hostname,
            email=rules.sender or f"dmarc-reports@{hostname}",
            contact=rules.contact,
            # The same report sent again is known by its id.
            report_id=hashlib.sha256(f"{hostname} {domain} {day} {place}".encode()).hexdigest()[:32],
            begin=day * DAY_S,
            end=(day + 1) * DAY_S - 1,
        )

    async def _send(self, found: Aggregate, recipients: list[str], reporter: Reporter, now: float) -> None:
        envelope, data = report_mail(found, reporter, recipients, new_id(), now)
        await self._desk.publish(
            Exchange.DELIVERY,
            Key.DELIVERY,
            data,
            else_="the report waits",
            message_type=MAIL_TYPE,
            headers=mail_headers(envelope),
            message_id=envelope.id,
            content_type="message/rfc822",
        )
