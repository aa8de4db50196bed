"""Browsers that are logged in (I/O: SQL).

Owns: `Session`; a session lives for twelve hours, and ends after one without a request. A cookie's value is known to
the browser alone; it is new after each step of the log-in, so that none that was planted before is of use.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, insert, or_, select, update

from services.console.database import Database
from services.console.identity.rights import Caller, Role, Via
from services.console.identity.secret import digest_of, new_secret
from services.console.identity.tables import sessions, users

LONGEST_S = 12 * 3600.0
IDLE_S = 3600.0
# A request writes the time of its session no more often than so.
_SEEN_EVERY_S = 60.0
_AGENT_LIMIT = 300


class Step(StrEnum):
    """How far a log-in has come. password: a second factor is asked for; whole: the user is in."""

    PASSWORD = "password"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Session:
    """One browser. digest: names it in lists. csrf: what each form must bring. challenge: of WebAuthn, when asked."""

    digest: str
    caller: Caller
    step: Step
    csrf: str
    challenge: str | None
    address: str
    agent: str
    made_at: float
    seen_at: float
    ends_at: float


async def open_session(
    database: Database, user: str, step: Step, *, address: str, agent: str, now: float, instead_of: str = ""
) -> str:
    """Begin a session and return the cookie's value. instead_of: the digest of the session that this one replaces."""
    value = new_secret()
    row = {
        "digest": digest_of(value),
        "user_name": user,
        "step": step.value,
        "csrf": new_secret(),
        "challenge": None,
        "address": address,
        "agent": agent[:_AGENT_LIMIT],
        "made_at": now,
        "seen_at": now,
        "ends_at": now + LONGEST_S,
    }
    over = or_(sessions.c.digest == instead_of, sessions.c.ends_at < now, sessions.c.seen_at < now - IDLE_S)
    async with database.writing() as connection:
        await connection.execute(delete(sessions).where(over))
        await connection.execute(insert(sessions), [row])
    return value


async def find_session(database: Database, value: str, now: float) -> Session | None:
    """Return the session of a cookie's value, or None: none, over, or its user is gone or disabled."""
    digest = digest_of(value)
    query = (
        select(sessions, users.c.role, users.c.domains)
        .join(users, users.c.name == sessions.c.user_name)
        .where(sessions.c.digest == digest, users.c.disabled.is_(False))
    )
    async with database.reading() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None or row.ends_at <= now or row.seen_at <= now - IDLE_S:
        return None
    if row.seen_at < now - _SEEN_EVERY_S:
        async with database.writing() as connection:
            await connection.execute(update(sessions).where(sessions.c.digest == digest).values(seen_at=now))
    caller = Caller(
        row.user_name, Role(row.role), domains_of(row.domains), Via.BROWSER, address=row.address, session=digest
    )
    return Session(
        digest, caller, Step(row.step), row.csrf, row.challenge, row.address, row.agent, row.made_at, now, row.ends_at
    )


async def end_session(database: Database, digest: str) -> bool:
    """End a session. Returns whether there was one."""
    async with database.writing() as connection:
        return bool((await connection.execute(delete(sessions).where(sessions.c.digest == digest))).rowcount)


def domains_of(text: str | None) -> frozenset[str] | None:
    """Return the domains of a user's or token's row, None for all."""
    return None if text is None else frozenset(json.loads(text))
