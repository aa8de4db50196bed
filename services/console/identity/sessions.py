"""Browsers that are logged in (I/O: SQL).

Owns: `Session`; a session lives for twelve hours, and ends after one without a request. A cookie's value is known to
the browser alone; it is new after each step of the log-in, so that none that was planted before is of use. It is new,
too, when its user proves again who they are: a session's age is the time since the last proof.
Before a name is known there is a session of nobody, for the challenge of a passkey alone: short, once, few.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, func, insert, or_, select, update

from services.console.database import Database
from services.console.identity.rights import Caller, Role, Via
from services.console.identity.secret import digest_of, new_secret
from services.console.identity.tables import sessions, users
from services.console.identity.throttle_rules import address_subject

LONGEST_S = 12 * 3600.0
IDLE_S = 3600.0
# How long the second step may take, and a passkey that names its user.
STEP_S = 600.0
# How long a proof of who somebody is holds for what is dangerous.
FRESH_S = 600.0
_BEGUN_PER_ADDRESS = 20
_BEGUN_AT_ALL = 2000
# A request writes the time of its session no more often than so.
_SEEN_EVERY_S = 60.0
_AGENT_LIMIT = 300


class Step(StrEnum):
    """How far a log-in has come. begun: a passkey is asked for; password: a second factor is; whole: the user is in."""

    BEGUN = "begun"
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

    def is_fresh(self, now: float) -> bool:
        """Whether the user proved lately who they are."""
        return now - self.made_at < FRESH_S


async def open_session(
    database: Database, user: str, step: Step, *, address: str, agent: str, now: float, instead_of: str = ""
) -> str:
    """Begin a session and return the cookie's value. instead_of: the digest of the session that this one replaces."""
    value = new_secret()
    row = _new_row(value, user, step, address=address, agent=agent, now=now)
    over = or_(sessions.c.digest == instead_of, sessions.c.ends_at < now, sessions.c.seen_at < now - IDLE_S)
    async with database.writing() as connection:
        await connection.execute(delete(sessions).where(over))
        await connection.execute(insert(sessions), [row])
    return value


async def open_begun(database: Database, challenge: str, *, address: str, agent: str, now: float) -> str | None:
    """Begin a session of nobody, for one challenge. Returns the cookie's value; None: too many are open."""
    value = new_secret()
    # Counted as failures are: of IPv6 a whole /64 is one customer's.
    address = address_subject(address)
    row = _new_row(value, "", Step.BEGUN, address=address, agent=agent, now=now) | {"challenge": challenge}
    begun = sessions.c.step == Step.BEGUN.value
    of_address = select(func.count()).where(begun, sessions.c.address == address)
    at_all = select(func.count()).where(begun)
    async with database.writing() as connection:
        await connection.execute(delete(sessions).where(begun, sessions.c.ends_at < now))
        if (await connection.scalar(of_address) or 0) >= _BEGUN_PER_ADDRESS:
            return None
        if (await connection.scalar(at_all) or 0) >= _BEGUN_AT_ALL:
            return None
        await connection.execute(insert(sessions), [row])
    return value


async def take_begun(database: Database, value: str, now: float) -> str | None:
    """Return the challenge of a session of nobody, which ends by this; None: there is none."""
    digest = digest_of(value)
    mine = (sessions.c.digest == digest, sessions.c.step == Step.BEGUN.value)
    async with database.writing() as connection:
        row = (await connection.execute(select(sessions.c.challenge, sessions.c.ends_at).where(*mine))).one_or_none()
        await connection.execute(delete(sessions).where(*mine))
    return None if row is None or row.ends_at <= now else row.challenge


def _new_row(value: str, user: str, step: Step, *, address: str, agent: str, now: float) -> dict[str, object]:
    return {
        "digest": digest_of(value),
        "user_name": user,
        "step": step.value,
        "csrf": new_secret(),
        "challenge": None,
        "address": address,
        "agent": agent[:_AGENT_LIMIT],
        "made_at": now,
        "seen_at": now,
        "ends_at": now + (LONGEST_S if step is Step.WHOLE else STEP_S),
    }


async def find_session(database: Database, value: str, now: float, address: str = "") -> Session | None:
    """Return the session of a cookie's value, or None: none, over, or its user is gone or disabled.

    address: where the request comes from, which is what the audit shows.
    """
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
        row.user_name,
        Role(row.role),
        domains_of(row.domains),
        Via.BROWSER,
        address=address or row.address,
        session=digest,
        user=row.user_name,
    )
    return Session(
        digest, caller, Step(row.step), row.csrf, row.challenge, row.address, row.agent, row.made_at, now, row.ends_at
    )


async def ask(database: Database, digest: str, challenge: str | None) -> None:
    """Keep what the browser of a session is asked for next; None: nothing."""
    async with database.writing() as connection:
        await connection.execute(update(sessions).where(sessions.c.digest == digest).values(challenge=challenge))


async def take_challenge(database: Database, digest: str) -> str | None:
    """Return what a session's browser was asked for; it is good once."""
    mine = sessions.c.digest == digest
    async with database.writing() as connection:
        challenge: str | None = await connection.scalar(select(sessions.c.challenge).where(mine))
        await connection.execute(update(sessions).where(mine).values(challenge=None))
    return challenge


async def end_session(database: Database, digest: str) -> bool:
    """End a session. Returns whether there was one."""
    async with database.writing() as connection:
        return bool((await connection.execute(delete(sessions).where(sessions.c.digest == digest))).rowcount)


def domains_of(text: str | None) -> frozenset[str] | None:
    """Return the domains of a user's or token's row, None for all."""
    return None if text is None else frozenset(json.loads(text))
