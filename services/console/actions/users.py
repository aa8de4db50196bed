"""Users of the console: who may log in, with which rights (I/O: SQL).

Owns: that nobody gives more than they have or raises themselves; and that there is always an administrator who can log
in: the last is not removed, disabled or made less.
On failure: ActionError; nothing is changed then.
"""

import json
import time
from collections.abc import Iterable

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotFound, OutOfBounds
from services.console.actions.user_rules import checked_domains, checked_name, folded
from services.console.answers.users import Invited
from services.console.identity.directory import User, read_user, read_users
from services.console.identity.invitations import has_administrator, make_invitation
from services.console.identity.links import first_link, invitation_link
from services.console.identity.recovery_codes import forget_codes
from services.console.identity.rights import Role, contained, within
from services.console.identity.tables import invitations, passkeys, recovery_codes, sessions, tokens, users
from services.console.identity.throttle import forget_failures

__all__ = [
    "Invited",
    "add_user",
    "change_user",
    "disable_user",
    "end_sessions",
    "invite_again",
    "invite_first",
    "list_users",
    "remove_user",
    "reset_second_factor",
    "show_user",
]

_WHAT = "users"


async def list_users(desk: Desk) -> list[User]:
    """Return all users by name."""
    desk.must_see_all(_WHAT)
    async with desk.database.reading() as connection:
        return await read_users(connection)


async def show_user(desk: Desk, name: str) -> User:
    """Return a user. Raises NotFound."""
    desk.must_see_all(_WHAT)
    async with desk.database.reading() as connection:
        return await _one(connection, folded(name))


async def add_user(desk: Desk, name: str, role: Role, domains: Iterable[str] | None = None) -> Invited:
    """Add a user, who sets a password by the link that is returned. Raises ActionError."""
    desk.must_see_all(_WHAT)
    name = checked_name(name)
    bound = checked_domains(role, domains)
    _must_be_given(desk, role, bound)
    now = time.time()
    row = {
        "name": name,
        "role": role.value,
        "domains": _text(bound),
        "argon2": "",
        "disabled": False,
        "made_at": now,
        "changed_at": now,
    }
    async with desk.database.writing() as connection:
        if await connection.scalar(select(users.c.name).where(users.c.name == name)):
            raise ActionError(f"there is a user {name} already")
        await connection.execute(insert(users), [row])
        await desk.note(connection, "user add", name, role=role.value, domains=bound)
        return await _invite(desk, connection, name, role, now)


async def invite_again(desk: Desk, name: str) -> Invited:
    """Give a user a new link to set a password by; it ends the older ones. Raises NotFound.

    The present password holds until then, and a second factor stays.
    """
    desk.must_see_all(_WHAT)
    async with desk.database.writing() as connection:
        user = await _one(connection, folded(name))
        _must_be_given(desk, user.role, user.domains)
        await desk.note(connection, "user new password", user.name)
        return await _invite(desk, connection, user.name, user.role, time.time())


async def change_user(desk: Desk, name: str, role: Role, domains: Iterable[str] | None = None) -> User:
    """Give a user another role and other domains, at once, in what runs too. Raises ActionError."""
    desk.must_see_all(_WHAT)
    bound = checked_domains(role, domains)
    async with desk.database.writing() as connection:
        before = await _one(connection, folded(name), lock=True)
        _must_be_given(desk, role, bound)
        if before.name == desk.caller.user and not (
            within(role, before.role) and contained(_set(bound), _set(before.domains))
        ):
            raise OutOfBounds("nobody gives themselves more rights: ask another administrator")
        await _write(connection, before.name, role=role.value, domains=_text(bound))
        await _must_have_administrator(connection, before)
        was = {"role": before.role.value, "domains": before.domains}
        await desk.note(connection, "user change", before.name, role=role.value, domains=bound, was=was)
        return await _one(connection, before.name)


async def disable_user(desk: Desk, name: str, *, disabled: bool = True) -> User:
    """Shut a user out: their sessions end, their tokens and keys are of no use; or let them in again."""
    desk.must_see_all(_WHAT)
    async with desk.database.writing() as connection:
        user = await _one(connection, folded(name), lock=True)
        _must_be_given(desk, user.role, user.domains)
        if user.disabled != disabled:
            await _write(connection, user.name, disabled=disabled)
            await _must_have_administrator(connection, user)
            if disabled:
                await connection.execute(delete(sessions).where(sessions.c.user_name == user.name))
            await desk.note(connection, "user disable" if disabled else "user enable", user.name)
        return await _one(connection, user.name)


async def remove_user(desk: Desk, name: str) -> None:
    """Remove a user with sessions, tokens, keys and links. What they did stays in the audit."""
    desk.must_see_all(_WHAT)
    async with desk.database.writing() as connection:
        user = await _one(connection, folded(name), lock=True)
        _must_be_given(desk, user.role, user.domains)
        await connection.execute(delete(users).where(users.c.name == user.name))
        await _must_have_administrator(connection, user)
        for table in (sessions, tokens, passkeys, recovery_codes, invitations):
            await connection.execute(delete(table).where(table.c.user_name == user.name))
        await desk.note(connection, "user remove", user.name, role=user.role.value)


async def end_sessions(desk: Desk, name: str) -> int:
    """Log a user out everywhere. Returns how many browsers that were."""
    desk.must_see_all(_WHAT)
    async with desk.database.writing() as connection:
        user = await _one(connection, folded(name))
        ended = (await connection.execute(delete(sessions).where(sessions.c.user_name == user.name))).rowcount
        await desk.note(connection, "sessions end", user.name, count=ended)
        return int(ended)


async def reset_second_factor(desk: Desk, name: str) -> User:
    """Take a user's app, keys and recovery codes away, for whoever lost them; they log in by password alone.

    Their sessions end, and what failed of their log-ins is forgotten.
    """
    desk.must_see_all(_WHAT)
    async with desk.database.writing() as connection:
        user = await _one(connection, folded(name))
        _must_be_given(desk, user.role, user.domains)
        await _write(connection, user.name, totp_secret=None, totp_step=None)
        await connection.execute(delete(passkeys).where(passkeys.c.user_name == user.name))
        await forget_codes(connection, user.name)
        await connection.execute(delete(sessions).where(sessions.c.user_name == user.name))
        await forget_failures(connection, user.name)
        had = {"totp": user.totp, "passkeys": user.passkeys, "recovery_codes": user.recovery_codes}
        await desk.note(connection, "user second factor reset", user.name, **had)
        return await _one(connection, user.name)


async def invite_first(desk: Desk) -> Invited:
    """Return a link by which the first administrator comes in. Raises ActionError if there is one."""
    desk.must_see_all(_WHAT)
    async with desk.database.writing() as connection:
        if await has_administrator(connection):
            raise ActionError("there is an administrator: gatepost user reset NAME gives one a link to a new password")
        made = await make_invitation(connection, "", Role.ADMINISTRATOR, desk.who, time.time())
        await desk.note(connection, "first administrator link", "")
        return Invited("", first_link(desk.settings, made.secret), made.ends_at)


def _text(domains: list[str] | None) -> str | None:
    return None if domains is None else json.dumps(domains)


def _set(domains: list[str] | None) -> frozenset[str] | None:
    return None if domains is None else frozenset(domains)


def _must_be_given(desk: Desk, role: Role, domains: list[str] | None) -> None:
    """Raise OutOfBounds for rights that the caller does not have."""
    if not (within(role, desk.caller.role) and contained(_set(domains), desk.caller.domains)):
        raise OutOfBounds("nobody gives rights that they do not have")


async def _must_have_administrator(connection: AsyncConnection, before: User) -> None:
    """Raise ActionError if a change has taken the last administrator away; the transaction is undone by it."""
    was_one = before.role is Role.ADMINISTRATOR and not before.disabled and not before.invited
    if was_one and not await has_administrator(connection):
        raise ActionError(f"{before.name} is the last administrator: make another one first")


async def _invite(desk: Desk, connection: AsyncConnection, name: str, role: Role, now: float) -> Invited:
    made = await make_invitation(connection, name, role, desk.who, now)
    return Invited(name, invitation_link(desk.settings, made.secret), made.ends_at)


async def _write(connection: AsyncConnection, name: str, **values: object) -> None:
    await connection.execute(update(users).where(users.c.name == name).values(changed_at=time.time(), **values))


async def _one(connection: AsyncConnection, name: str, *, lock: bool = False) -> User:
    if lock:
        # Two administrators who take each other away at once: the second waits, and finds itself the last.
        await connection.execute(
            select(users.c.name)
            .where(users.c.role == Role.ADMINISTRATOR.value)
            .order_by(users.c.name)
            .with_for_update()
        )
    user = await read_user(connection, name)
    if user is None:
        raise NotFound(f"there is no user {name}")
    return user
