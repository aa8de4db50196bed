"""The users, as lists show them (I/O: SQL)."""

import time

from sqlalchemy import ColumnElement, ScalarSelect, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.answers.users import User
from services.console.identity.rights import Role
from services.console.identity.sessions import Step, domains_of
from services.console.identity.tables import passkeys, recovery_codes, sessions, tokens, users

__all__ = ["User", "read_user", "read_users"]


async def read_user(connection: AsyncConnection, name: str) -> User | None:
    """Return a user, or None."""
    return next(iter(await read_users(connection, name)), None)


async def read_users(connection: AsyncConnection, name: str | None = None) -> list[User]:
    """Return the users by name, or the one of a name."""
    now = time.time()
    query = select(
        users,
        _count(passkeys).label("keys"),
        _count(recovery_codes).label("codes"),
        _count(sessions, sessions.c.ends_at > now, sessions.c.step == Step.WHOLE.value).label("browsers"),
        _count(tokens, tokens.c.ends_at > now).label("programs"),
    ).order_by(users.c.name)
    if name is not None:
        query = query.where(users.c.name == name)
    return [
        User(
            row.name,
            Role(row.role),
            _sorted(domains_of(row.domains)),
            row.disabled,
            invited=not row.argon2,
            totp=row.totp_secret is not None,
            passkeys=row.keys,
            recovery_codes=row.codes,
            sessions=row.browsers,
            tokens=row.programs,
            made_at=row.made_at,
            changed_at=row.changed_at,
        )
        for row in await connection.execute(query)
    ]


def _count(table: Table, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    mine = table.c.user_name == users.c.name
    return select(func.count()).select_from(table).where(mine, *conditions).correlate(users).scalar_subquery()


def _sorted(domains: frozenset[str] | None) -> list[str] | None:
    return None if domains is None else sorted(domains)
