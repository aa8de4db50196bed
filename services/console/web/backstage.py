"""What pages and API work with (I/O is its members'): one of it per process.

Wired by services/console/app.py; the command on the console's own host makes one without a broker's policy.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.identity.rights import Caller
from services.console.settings import ConsoleSettings
from shared.broker.ports import PolicyPort
from shared.broker.publish import Publisher
from shared.gate import Gate


@dataclass(frozen=True, slots=True)
class Backstage:
    """What every request may use. gate: None admits all. policy: what this process has in force, None: unknown.

    publisher: a way to the broker that stays open. only_desk: the one at which everything is done, and which its owner
    closes: the command's. clock: Unix seconds.
    """

    settings: ConsoleSettings
    database: Database
    publisher: Publisher | None = None
    policy: PolicyPort | None = None
    gate: Gate | None = None
    only_desk: Desk | None = None
    clock: Callable[[], float] = field(default=time.time)

    @contextlib.asynccontextmanager
    async def at_desk(self, caller: Caller) -> AsyncIterator[Desk]:
        """Give the desk at which a caller acts for one request."""
        desk = self.desk(caller)
        try:
            yield desk
        finally:
            if desk is not self.only_desk:
                await desk.close()

    def desk(self, caller: Caller) -> Desk:
        """Return a desk at which a caller acts; its opener closes it."""
        return self.only_desk or Desk(self.settings, self.database, caller, self.publisher)
