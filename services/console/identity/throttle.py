"""Log-ins that failed, and whoever must wait because of them (I/O: SQL).

An attempt is written as failed before it is looked at, so that a hundred at the same moment are a hundred.
On failure: Throttled, with the seconds to wait.
"""

import math
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError
from services.console.database import Database
from services.console.identity.tables import failed_logins
from services.console.identity.throttle_rules import (
    OF_ADDRESS,
    OF_NAME,
    WINDOW_S,
    Rule,
    address_subject,
    name_subject,
    wait_s,
)
from shared.ids import new_id


class Throttled(ActionError):
    """Too many log-ins failed. wait_s: whole seconds until the next is heard."""

    status = 429

    def __init__(self, wait: float) -> None:
        self.wait_s = max(1, math.ceil(wait))
        super().__init__(f"too many log-ins failed: the next is heard in {self.wait_s} s")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One log-in that counts as failed until it is undone. subject: the user's or browser's, empty if none is known."""

    uids: tuple[str, ...]
    subject: str


async def begin_attempt(database: Database, subject: str, address: str, now: float) -> Attempt:
    """Count an attempt as failed, by address and by subject. Raises Throttled.

    subject: `name_subject` or `browser_subject`; empty for a passkey, which needs neither.
    """
    subjects: list[tuple[str, Rule]] = [(address_subject(address), OF_ADDRESS)]
    if subject:
        subjects.append((subject, OF_NAME))
    async with database.writing() as connection:
        if not database.is_sqlite:
            # One at a time: else many that come together would see each other's failures too late.
            await connection.execute(text("SELECT pg_advisory_xact_lock(7047259)"))
        await connection.execute(delete(failed_logins).where(failed_logins.c.at < now - WINDOW_S))
        waits = [wait_s(await _failures(connection, one), now, rule) for one, rule in subjects]
        uids = tuple(new_id() for _ in subjects)
        if not any(waits):
            rows = [{"uid": uid, "subject": one, "at": now} for uid, (one, _) in zip(uids, subjects, strict=True)]
            await connection.execute(insert(failed_logins), rows)
    if any(waits):
        raise Throttled(max(waits))
    return Attempt(uids, subject)


async def undo_attempt(database: Database, attempt: Attempt, *, whole: bool) -> None:
    """Take an attempt back: it did not fail. whole: the user is in, and all failures of the subject are forgotten."""
    async with database.writing() as connection:
        await connection.execute(delete(failed_logins).where(failed_logins.c.uid.in_(attempt.uids)))
        if whole and attempt.subject:
            await connection.execute(delete(failed_logins).where(failed_logins.c.subject == attempt.subject))


async def forget_failures(connection: AsyncConnection, name: str) -> None:
    """Let a name be heard at once."""
    await connection.execute(delete(failed_logins).where(failed_logins.c.subject == name_subject(name)))


async def _failures(connection: AsyncConnection, subject: str) -> list[float]:
    query = select(failed_logins.c.at).where(failed_logins.c.subject == subject)
    return list((await connection.execute(query)).scalars())
