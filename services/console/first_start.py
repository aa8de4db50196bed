"""The first start: where nobody can log in yet, a link for the first administrator stands in the log, once (I/O: SQL).

Whoever can read the log of the console's process is its operator. `gatepost user first` makes a new link.
"""

import structlog

from services.console.actions.desk import Desk
from services.console.actions.users import invite_first
from services.console.identity.invitations import first_is_open, has_administrator

_log = structlog.get_logger()


async def offer_first_administrator(desk: Desk, now: float) -> None:
    """Log a link unless there is an administrator, or an earlier link that is still good."""
    async with desk.database.reading() as connection:
        if await has_administrator(connection) or await first_is_open(connection, now):
            return
    made = await invite_first(desk)
    _log.warning("first-administrator", link=made.link, good_until=made.ends_at)
