"""How the pipeline is (I/O: HTTP to the services, management API, SQL).

Output: `Status`; each part that could not be asked says why instead of failing the rest.
Of a database that many ask about, as of a console's pages, one asking serves all who come within a few seconds, and
what changes slowly is asked about once a minute.
"""

import asyncio
import time
from collections import deque
from collections.abc import Collection
from dataclasses import replace
from weakref import WeakKeyDictionary

from sqlalchemy.exc import SQLAlchemyError

from services.console.actions.alerts import Alert, judge
from services.console.actions.desk import ActionError, Desk
from services.console.database import Database
from services.console.management import ManagementError
from services.console.pulse import mail
from services.console.pulse.asking import ask_services, get, live, readiness
from services.console.pulse.broker import ask_broker, depths
from services.console.pulse.facts import Broker, Depth, Outcomes, Readiness, Status, Surroundings
from services.console.pulse.growth import growing
from services.console.pulse.kept import Kept
from services.console.pulse.measures import Measures
from services.console.settings import ConsoleSettings

__all__ = ["Depth", "Readiness", "Status", "depths", "get", "glance", "outcomes_for", "readiness", "status"]

_QUICK_S = 3.0
# The day is counted anew so often: it is shown in half hours, and counting a million messages takes half a second.
_DAY_S = 30.0
_SLOW_S = 60.0
# The first page of a console that was just started waits so long for what is slow, and shows the rest.
_PATIENCE_S = 1.0
_SAMPLES = 240


class _Watch:
    """What one process knows of one gateway. depths: of the queues, lately; seen: since when alerts are there."""

    def __init__(self) -> None:
        self.quick: Kept[tuple[Status, dict[str, Measures]]] = Kept(_QUICK_S)
        self.day: Kept[Outcomes] = Kept(_DAY_S)
        self.slow: Kept[Surroundings] = Kept(_SLOW_S)
        self.of_domains: dict[frozenset[str], Kept[Outcomes]] = {}
        self.depths: deque[tuple[float, dict[str, int]]] = deque(maxlen=_SAMPLES)
        self.seen: dict[str, float] = {}


_watches: WeakKeyDictionary[Database, _Watch] = WeakKeyDictionary()


async def status(desk: Desk) -> Status:
    """Ask everybody, and wait for all of them. Raises OutOfBounds for whom domains bound."""
    return await _status(desk, None)


async def glance(desk: Desk) -> tuple[Status, tuple[Alert, ...]]:
    """Return how it is, within a moment, and what needs somebody's hand. Raises OutOfBounds for whom domains bound."""
    found = await _status(desk, _PATIENCE_S)
    watch = _watch(desk)
    alerts = judge(found, watch.seen)
    watch.seen = {alert.key: alert.since or found.at for alert in alerts}
    return found, alerts


async def outcomes_for(desk: Desk, domains: Collection[str]) -> Outcomes:
    """Return what became of the last day's mail from and to these domains. Raises OutOfBounds, SQLAlchemyError."""
    desk.must_cover(*domains)
    kept = _watch(desk).of_domains
    if len(kept) > _SAMPLES:
        kept.clear()
    answer = await kept.setdefault(frozenset(domains), Kept(_QUICK_S)).get(lambda: _outcomes(desk, domains))
    assert answer is not None, "without a bound on its patience, it has waited"
    return answer


async def _outcomes(desk: Desk, domains: Collection[str] | None) -> Outcomes:
    async with desk.database.reading() as connection:
        return await mail.outcomes(connection, time.time(), domains)


def _watch(desk: Desk) -> _Watch:
    return _watches.setdefault(desk.database, _Watch())


async def _status(desk: Desk, patience_s: float | None) -> Status:
    desk.must_see_all("the state of the gateway")
    # Here, for its parts are many and slow to import, and other commands need none of them.
    from services.console.pulse.surroundings import surroundings  # noqa: PLC0415

    watch = _watch(desk)
    quick = await watch.quick.get(lambda: _quick(desk, watch))
    assert quick is not None, "without a bound on its patience, it has waited"
    found, measures = quick
    around = await watch.slow.get(lambda: surroundings(desk, measures), patience_s=patience_s)
    return replace(found, surroundings=around)


async def _quick(desk: Desk, watch: _Watch) -> tuple[Status, dict[str, Measures]]:
    (services, measures), (queues, broker, queues_problem) = await asyncio.gather(
        ask_services(desk.settings), _broker(desk.settings)
    )
    now = time.time()
    if queues:
        watch.depths.append((now, {queue.queue: queue.ready for queue in queues}))
    found = Status(
        services,
        queues,
        queues_problem,
        outcomes={},
        oldest=None,
        held=0,
        database_problem=None,
        at=now,
        live=live(measures),
        broker=broker,
        database=desk.database.where,
        growing=growing(watch.depths),
    )
    return await _with_mail(desk, found, watch), measures


async def _with_mail(desk: Desk, found: Status, watch: _Watch) -> Status:
    try:
        day = await watch.day.get(lambda: _outcomes(desk, None))
        async with desk.database.reading() as connection:
            facts = await mail.mail_facts(connection, found.at)
    except (SQLAlchemyError, OSError) as error:
        return replace(found, database_problem=str(error).splitlines()[0] if str(error) else type(error).__name__)
    return replace(
        found,
        outcomes=day.total if day is not None else {},
        day=day,
        rates=facts.rates,
        oldest=facts.oldest,
        waiting=facts.waiting,
        held=facts.held,
        poison=facts.poison,
        policy=facts.policy,
    )


async def _broker(settings: ConsoleSettings) -> tuple[tuple[Depth, ...], Broker | None, str | None]:
    try:
        queues, broker = await ask_broker(settings)
    except (ActionError, ManagementError, ValueError) as error:
        return (), None, str(error)
    return queues, broker, None
