"""What the trace tells of the last day and minute (I/O: SQL).

Owns: the queries of the overview; each goes by an index. With domains, only mail of these domains counts, as its words
say (services/console/tables.py `message_words`).
"""

import time
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.held import POISON
from services.console.pulse.facts import Outcomes, PolicyNow, Rates
from services.console.rows import WAITING, State
from services.console.tables import message_words, messages, policy_history, quarantine

DAY_S = 86_400.0
STEPS = 48
_STEP_S = int(DAY_S) // STEPS
_MINUTE_S = 60.0
_columns = messages.c


@dataclass(frozen=True, slots=True)
class MailFacts:
    """What SQL tells the overview, beside the day."""

    rates: Rates
    oldest: tuple[str, str, float] | None
    waiting: int
    held: int
    poison: int
    policy: PolicyNow | None


async def mail_facts(connection: AsyncConnection, now: float | None = None) -> MailFacts:
    """Ask for all of it. now: Unix seconds, else this moment."""
    now = time.time() if now is None else now
    oldest, waiting = await _waiting(connection)
    held, poison = await _held(connection)
    rates = await _rates(connection, now)
    return MailFacts(rates, oldest, waiting, held, poison, await _policy(connection))


async def outcomes(connection: AsyncConnection, now: float, domains: Collection[str] | None = None) -> Outcomes:
    """Count the states of the last 24 hours' mail in 48 steps. domains: None for all mail."""
    # The steps stand on the clock's half hours, so that a plot does not crawl.
    since = (int(now) // _STEP_S + 1) * _STEP_S - int(DAY_S)
    step = ((cast(_columns.last_seen, BigInteger) - since) // _STEP_S).label("step")
    where: ColumnElement[bool] = (_columns.last_seen >= since) & _columns.state.is_not(None)
    if domains is not None:
        words = [f"d:{domain}" for domain in sorted(domains)]
        # A message that was seen lately may have come long before; beyond two weeks none is on its way.
        oldest = since - 14 * DAY_S
        theirs = select(message_words.c.id).where(message_words.c.word.in_(words), message_words.c.at >= oldest)
        where &= _columns.id.in_(theirs)
    query = select(step, _columns.state, func.count()).where(where).group_by(step, _columns.state)
    counts: list[dict[str, int]] = [{} for _ in range(STEPS)]
    for place, state, count in await connection.execute(query):
        of_step = counts[min(max(place, 0), STEPS - 1)]
        of_step[str(state)] = of_step.get(str(state), 0) + int(count)
    return Outcomes(since, _STEP_S, tuple(counts))


async def _rates(connection: AsyncConnection, now: float) -> Rates:
    since = now - _MINUTE_S
    came = (_columns.first_seen >= since) & _columns.parent.is_(None)
    reached = _columns.state_at >= since

    def count(where: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((where, 1), else_=0)), 0)

    def ended(state: State) -> ColumnElement[int]:
        return count(and_(reached, _columns.state == state.value))

    query = select(
        count(and_(came, _columns.size_bytes.is_not(None))),
        count(and_(came, _columns.verdict.is_not(None))),
        ended(State.DELIVERED),
        ended(State.REFUSED),
        ended(State.DEFERRED),
        ended(State.QUARANTINED),
    ).where(_columns.last_seen >= since)
    row = (await connection.execute(query)).one()
    return Rates(*map(int, row))


async def _waiting(connection: AsyncConnection) -> tuple[tuple[str, str, float] | None, int]:
    waits = _columns.state.in_([state.value for state in WAITING])
    query = select(_columns.id, _columns.state, _columns.first_seen).where(waits).order_by(_columns.first_seen).limit(1)
    row = (await connection.execute(query)).one_or_none()
    count = await connection.scalar(select(func.count()).select_from(messages).where(waits))
    return (row.id, row.state, row.first_seen) if row else None, int(count or 0)


async def _held(connection: AsyncConnection) -> tuple[int, int]:
    poison = func.coalesce(func.sum(case((quarantine.c.reason == POISON, 1), else_=0)), 0)
    query = select(func.count(), poison).select_from(quarantine).where(quarantine.c.state == "held")
    held, poisoned = (await connection.execute(query)).one()
    return int(held), int(poisoned)


async def _policy(connection: AsyncConnection) -> PolicyNow | None:
    columns = policy_history.c
    query = select(columns.version, columns.author, columns.at, columns.confirm_by).order_by(columns.version.desc())
    row = (await connection.execute(query.limit(1))).one_or_none()
    return PolicyNow(*row) if row else None
