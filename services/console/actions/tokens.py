"""Programs' ways in (I/O: SQL): tokens of the API.

Owns: that a token has no right that its maker lacks, ends within a year, and is shown once.
On failure: ActionError; nothing is changed then.
"""

import json
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotFound, NotUnderstood, OutOfBounds
from services.console.actions.user_rules import checked_domains, folded
from services.console.answers.tokens import LONGEST_DAYS, NewToken, Token
from services.console.identity.directory import User, read_user
from services.console.identity.rights import Right, Role, Via, contained, within
from services.console.identity.secret import TOKEN_PREFIX, digest_of, new_secret
from services.console.identity.sessions import domains_of
from services.console.identity.tables import tokens
from shared.ids import new_id

__all__ = [
    "LABEL_LIMIT",
    "LONGEST_DAYS",
    "MOST_PER_USER",
    "NewToken",
    "Token",
    "add_token",
    "list_tokens",
    "remove_token",
]

LABEL_LIMIT = 60
MOST_PER_USER = 50
_DAY_S = 86_400.0


async def list_tokens(desk: Desk, user: str | None = None) -> list[Token]:
    """Return tokens, the newest first. user: None for all users' (Right.USERS)."""
    if not (_may_all(desk) or (user is not None and user == desk.caller.user)):
        raise OutOfBounds("these are other users' tokens")
    query = select(tokens).order_by(tokens.c.made_at.desc(), tokens.c.id).limit(1000)
    if user is not None:
        query = query.where(tokens.c.user_name == user)
    async with desk.database.reading() as connection:
        return [_token(row) for row in await connection.execute(query)]


async def add_token(
    desk: Desk, label: str, role: Role, domains: Iterable[str] | None = None, *, days: int, user: str = ""
) -> NewToken:
    """Make a token. days: until it ends. user: whose; nobody but who is at the console's own host makes another's."""
    label = label.strip()
    if not (0 < len(label) <= LABEL_LIMIT and label.isprintable()):
        raise NotUnderstood(f"say in 1 to {LABEL_LIMIT} characters which program it is for")
    if not 1 <= days <= LONGEST_DAYS:
        raise NotUnderstood(f"a token ends after 1 to {LONGEST_DAYS} days")
    bound = _bound(role, domains, desk)
    now = time.time()
    secret, row_id = new_secret(TOKEN_PREFIX), new_id()
    async with desk.database.writing() as connection:
        owner = await _owner(desk, connection, user)
        ends_at = await _end(desk, connection, now + days * _DAY_S)
        set_ = None if bound is None else frozenset(bound)
        if not (within(role, owner.role) and contained(set_, _set(owner.domains))):
            raise OutOfBounds("a token has no right that its user lacks")
        row = {
            "digest": digest_of(secret),
            "id": row_id,
            "user_name": owner.name,
            "label": label,
            "role": role.value,
            "domains": None if bound is None else json.dumps(bound),
            "made_at": now,
            "ends_at": ends_at,
        }
        await connection.execute(insert(tokens), [row])
        details = {"label": label, "role": role.value, "domains": bound, "days": days}
        await desk.note(connection, "token add", owner.name, id=row_id, **details)
    return NewToken(row_id, secret, ends_at)


async def remove_token(desk: Desk, token: str) -> None:
    """Remove a token by its id: one's own, or with Right.USERS anybody's. Raises NotFound."""
    async with desk.database.writing() as connection:
        row = (await connection.execute(select(tokens).where(tokens.c.id == token))).one_or_none()
        if row is None or not (row.user_name == desk.caller.user or _may_all(desk)):
            raise NotFound("there is no such token")
        _must_not_be_more(desk, row)
        await connection.execute(delete(tokens).where(tokens.c.id == token))
        await desk.note(connection, "token remove", row.user_name, id=token, label=row.label)


def _bound(role: Role, domains: Iterable[str] | None, desk: Desk) -> list[str] | None:
    """Return the domains of a new token: none named means the maker's own. Raises ActionError."""
    own = None if desk.caller.domains is None else sorted(desk.caller.domains)
    named = [domain for domain in domains or () if domain.strip()]
    bound = checked_domains(role, named or own)
    if not (within(role, desk.caller.role) and contained(_set(bound), desk.caller.domains)):
        raise OutOfBounds("a token has no right that its maker lacks")
    return bound


async def _owner(desk: Desk, connection: AsyncConnection, user: str) -> User:
    name = folded(user) or desk.caller.user
    if not name:
        raise NotUnderstood("whose token? --user NAME")
    if name != desk.caller.user and desk.caller.via is not Via.HOST:
        raise OutOfBounds("a token is its maker's own: another user's is made by that user, or on the console's host")
    owner = await read_user(connection, name)
    if owner is None:
        raise NotFound(f"there is no user {name}")
    count = await connection.scalar(select(func.count()).select_from(tokens).where(tokens.c.user_name == owner.name))
    if (count or 0) >= MOST_PER_USER:
        raise ActionError(f"at most {MOST_PER_USER} tokens: remove one first")
    return owner


async def _end(desk: Desk, connection: AsyncConnection, ends_at: float) -> float:
    """Return when a new token ends: one that a token makes ends with it, so that none prolongs itself."""
    if desk.caller.via is not Via.TOKEN:
        return ends_at
    own = await connection.scalar(select(tokens.c.ends_at).where(tokens.c.id == desk.caller.session))
    return min(ends_at, float(own or 0))


def _must_not_be_more(desk: Desk, row: Row[Any]) -> None:
    """Raise OutOfBounds where a program would end what may more than itself: a leaked token shuts nobody out."""
    within_own = within(Role(row.role), desk.caller.role) and contained(domains_of(row.domains), desk.caller.domains)
    if desk.caller.via is Via.TOKEN and not within_own:
        raise OutOfBounds("that token may more than this one")


def _may_all(desk: Desk) -> bool:
    return desk.caller.may(Right.USERS) and desk.caller.sees_all


def _set(domains: list[str] | None) -> frozenset[str] | None:
    return None if domains is None else frozenset(domains)


def _token(row: Row[Any]) -> Token:
    domains = domains_of(row.domains)
    return Token(
        row.id,
        row.user_name,
        row.label,
        Role(row.role),
        None if domains is None else sorted(domains),
        row.made_at,
        row.ends_at,
        row.used_at,
        row.used_from,
    )
