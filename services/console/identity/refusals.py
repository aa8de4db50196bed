"""What was refused, in the audit, and no more of it than somebody can read (I/O: SQL).

Owns: of what one caller is refused in a minute the audit has the first few, and one row more with the number of the
others; so neither a viewer nor a stranger can fill it. A user is one caller wherever they come from; strangers count by
address and by the name they give, and when there are many of them by the name alone.
The number is written by the next refusal of anybody, and by the recorder's rounds.
"""

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.identity.rights import Caller, Role, Via
from services.console.identity.secret import digest_of
from services.console.identity.tables import refusals
from services.console.identity.throttle_rules import address_subject
from services.console.story.told import moment

WINDOW_S = 60.0
# So many of a caller's refusals stand in the audit as they were.
WHOLE = 5
# So many callers who are not logged in are told apart.
MOST_STRANGERS = 100


async def note_refusal(
    desk: Desk, action: str, target: str, now: float, *, stranger: bool = False, **details: object
) -> bool:
    """Write a refusal of the desk's caller into the audit, or count it. Returns whether it was written."""
    subject = _subject(desk.caller, action, stranger=stranger)
    async with desk.database.writing() as connection:
        await _one_at_a_time(connection, desk.database)
        await _write_numbers(connection, desk, now)
        row = (await connection.execute(select(refusals).where(refusals.c.subject == subject))).one_or_none()
        if row is None and stranger and await _strangers(connection) >= MOST_STRANGERS:
            subject = digest_of(f"{action} {desk.caller.name}")
            row = (await connection.execute(select(refusals).where(refusals.c.subject == subject))).one_or_none()
        whole = row is None or row.written < WHOLE
        if row is None:
            await connection.execute(
                insert(refusals), [_new_row(desk.caller, subject, action, target, now, stranger=stranger)]
            )
        else:
            counted = {"written": row.written + 1} if whole else {"more": row.more + 1, "target": target}
            this = update(refusals).where(refusals.c.subject == subject)
            await connection.execute(this.values(until=now, **counted))
        if whole:
            await desk.note(connection, action, target, **details)
    return whole


async def write_numbers(desk: Desk, now: float) -> None:
    """Write how many refusals of minutes that are over were only counted."""
    async with desk.database.writing() as connection:
        await _one_at_a_time(connection, desk.database)
        await _write_numbers(connection, desk, now)


async def _write_numbers(connection: AsyncConnection, desk: Desk, now: float) -> None:
    over = refusals.c.since <= now - WINDOW_S
    counted = select(refusals).where(over, refusals.c.more > 0).order_by(refusals.c.since, refusals.c.subject)
    for row in (await connection.execute(counted)).all():
        caller = Caller(row.who, Role.VIEWER, frozenset(), Via(row.via), address=row.address)
        times = {"more": row.more, "since": moment(row.since), "until": moment(row.until)}
        await Desk(desk.settings, desk.database, caller).note(connection, row.action, row.target, **times)
    await connection.execute(delete(refusals).where(over))


async def _strangers(connection: AsyncConnection) -> int:
    query = select(func.count()).select_from(refusals).where(refusals.c.stranger.is_(True))
    return int(await connection.scalar(query) or 0)


async def _one_at_a_time(connection: AsyncConnection, database: Database) -> None:
    """Wait for others at it; SQLite lets one write at a time as it is."""
    if not database.is_sqlite:
        await connection.execute(text("SELECT pg_advisory_xact_lock(7047260)"))


def _subject(caller: Caller, action: str, *, stranger: bool) -> str:
    """Return what refusals of a caller are counted by."""
    whose = f"{caller.name} {address_subject(caller.address)}" if stranger else f"user {caller.user or caller.name}"
    return digest_of(f"{action} {whose}")


def _new_row(
    caller: Caller, subject: str, action: str, target: str, now: float, *, stranger: bool
) -> dict[str, object]:
    return {
        "subject": subject,
        "stranger": stranger,
        "action": action,
        "who": caller.name,
        "address": caller.address,
        "via": caller.via.value,
        "target": target,
        "since": now,
        "until": now,
        "written": 1,
        "more": 0,
    }
