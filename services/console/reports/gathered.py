"""What was gathered for reports, and which of them were sent (I/O: SQL).

Owns: which day's reports are due, and that no two recorders send the same one: who sends one claims it first. A claim
ends by itself, so what a recorder that crashed had claimed is sent by another, under the same report id.
On failure: sqlalchemy.exc.SQLAlchemyError; nothing of the step is done then.
"""

from collections.abc import AsyncIterator

from sqlalchemy import ColumnElement, Table, delete, func, select
from sqlalchemy.exc import IntegrityError

from services.console.database import Database

# In the place of who got it, until it is sent: `at` is then when somebody may try (again).
CLAIMED = "(not yet)"
_PIECE_ROWS = 500


class Gathered:
    """One kind of reports. seen: what they are made of, one row an event. sent: the reports, one row a domain a day."""

    def __init__(self, database: Database, seen: Table, sent: Table) -> None:
        self._database = database
        self._seen = seen
        self._sent = sent

    async def due(self, before_day: int, now: float, limit: int) -> list[tuple[int, str]]:
        """Return the days and domains that nobody has reported or is about to: the oldest days, then the most rows."""
        seen, sent = self._seen.c, self._sent.c
        taken = (sent.day == seen.day) & (sent.domain == seen.domain) & ((sent.sent_to != CLAIMED) | (sent.at > now))
        query = (
            select(seen.day, seen.domain)
            .where(seen.day < before_day, ~select(sent.day).where(taken).exists())
            .group_by(seen.day, seen.domain)
            .order_by(seen.day, func.count().desc(), seen.domain)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [(row.day, row.domain) for row in await connection.execute(query)]

    async def facts(self, day: int, domain: str) -> AsyncIterator[tuple[str, int]]:
        """Yield the different facts of a domain's day, each with how often it came, the most frequent first.

        The database counts: whoever makes a million of them a day must not fill our memory with them.
        """
        count = func.count()
        facts = self._seen.c.facts
        query = select(facts, count).where(_at(self._seen, day, domain)).group_by(facts).order_by(count.desc(), facts)
        async with self._database.reading() as connection:
            found = await connection.stream(query.execution_options(yield_per=_PIECE_ROWS))
            async for text, number in found:
                yield str(text), int(number)

    async def claim(self, day: int, domain: str, now: float, until: float) -> bool:
        """Take it on to report a domain's day. Returns whether it is ours, until then."""
        sent = self._sent
        ours = {"sent_to": CLAIMED, "at": until}
        free = _at(sent, day, domain) & (sent.c.sent_to == CLAIMED) & (sent.c.at <= now)
        try:
            async with self._database.writing() as connection:
                taken_over = await connection.execute(sent.update().where(free).values(**ours))
                if not taken_over.rowcount:
                    await connection.execute(sent.insert(), [{"day": day, "domain": domain, **ours}])
        except IntegrityError:
            return False
        return True

    async def postpone(self, day: int, domain: str, until: float) -> None:
        """Let what was claimed be tried again from then on."""
        async with self._database.writing() as connection:
            await connection.execute(self._sent.update().where(_at(self._sent, day, domain)).values(at=until))

    async def finish(self, day: int, domain: str, sent_to: list[str], now: float) -> None:
        """Note who got the report of a domain's day, if anybody, and forget what it was made of."""
        values = {"sent_to": ", ".join(sent_to), "at": now}
        async with self._database.writing() as connection:
            await connection.execute(self._sent.update().where(_at(self._sent, day, domain)).values(**values))
            await connection.execute(delete(self._seen).where(_at(self._seen, day, domain)))

    async def shed(self, before_day: int, limit: int) -> int:
        """Forget domains beyond a number a day, those of the fewest rows. Returns how many were forgotten."""
        seen, sent = self._seen, self._sent
        days = select(seen.c.day).distinct().where(seen.c.day < before_day)
        forgotten = 0
        async with self._database.reading() as connection:
            found = [int(day) for day in (await connection.execute(days)).scalars()]
        for day in found:
            this_day = seen.c.day == day
            done = select(sent.c.domain).where(sent.c.day == day, sent.c.sent_to != CLAIMED)
            left = this_day & seen.c.domain.not_in(done)
            number = select(func.count(seen.c.domain.distinct())).where(left)
            async with self._database.reading() as connection:
                places = limit - int(await connection.scalar(select(func.count()).select_from(done.subquery())) or 0)
                beyond = int(await connection.scalar(number) or 0) - max(0, places)
            if beyond <= 0:
                continue
            busiest = select(seen.c.domain).where(left).group_by(seen.c.domain)
            kept = busiest.order_by(func.count().desc(), seen.c.domain).limit(max(0, places)).subquery()
            async with self._database.writing() as connection:
                await connection.execute(delete(seen).where(this_day, seen.c.domain.not_in(select(kept.c.domain))))
            forgotten += beyond
        return forgotten

    async def forget(self, before_day: int, reported_before_day: int) -> None:
        """Forget what is too old to be reported, and which reports were sent."""
        async with self._database.writing() as connection:
            await connection.execute(delete(self._seen).where(self._seen.c.day < before_day))
            await connection.execute(delete(self._sent).where(self._sent.c.day < reported_before_day))


def _at(table: Table, day: int, domain: str) -> ColumnElement[bool]:
    return (table.c.day == day) & (table.c.domain == domain)
