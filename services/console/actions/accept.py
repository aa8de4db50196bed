"""Coming in by a link that is good once: a user sets a password (I/O: SQL).

On failure: NotFound for a link that is used up, over or none; NotUnderstood for a name or password that is not taken,
and the link stays good then.
"""

import time

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotFound
from services.console.actions.user_rules import checked_name, verifier_for
from services.console.identity.invitations import Invitation, find_invitation, has_administrator, use_invitation
from services.console.identity.rights import Role
from services.console.identity.tables import invitations, sessions, users
from services.console.identity.throttle import forget_failures


async def look_at_invitation(desk: Desk, secret: str, *, first: bool) -> Invitation:
    """Return an invitation that is open. first: the first administrator's. Raises NotFound."""
    async with desk.database.reading() as connection:
        return await _open(connection, secret, first=first)


async def accept_first(desk: Desk, secret: str, name: str, password: str) -> str:
    """Make the first administrator and return the name. Raises ActionError."""
    await look_at_invitation(desk, secret, first=True)
    name = checked_name(name)
    verifier = await verifier_for(password, name)
    now = time.time()
    async with desk.database.writing() as connection:
        invitation = await _open(connection, secret, first=True)
        if not await use_invitation(connection, invitation):
            raise _used_up()
        if await connection.scalar(select(users.c.name).where(users.c.name == name)):
            raise ActionError(f"there is a user {name} already: choose another name")
        row = {
            "name": name,
            "role": Role.ADMINISTRATOR.value,
            "argon2": verifier,
            "disabled": False,
            "made_at": now,
            "changed_at": now,
        }
        await connection.execute(insert(users), [row])
        await connection.execute(delete(invitations).where(invitations.c.user_name == ""))
        await desk.note(connection, "first administrator", name)
    return name


async def accept_invitation(desk: Desk, secret: str, password: str) -> str:
    """Set the password of whoever was invited, and return the name. Their sessions end. Raises ActionError."""
    user = (await look_at_invitation(desk, secret, first=False)).user
    verifier = await verifier_for(password, user)
    async with desk.database.writing() as connection:
        invitation = await _open(connection, secret, first=False)
        if not await use_invitation(connection, invitation):
            raise _used_up()
        set_ = update(users).where(users.c.name == user).values(argon2=verifier, changed_at=time.time())
        await connection.execute(set_)
        await connection.execute(delete(sessions).where(sessions.c.user_name == user))
        await forget_failures(connection, user)
        await desk.note(connection, "password set", user, by="link", made_by=invitation.made_by)
    return user


async def _open(connection: AsyncConnection, secret: str, *, first: bool) -> Invitation:
    found = await find_invitation(connection, secret, time.time())
    if found is None or bool(found.user) is first or (first and await has_administrator(connection)):
        raise _used_up()
    return found


def _used_up() -> NotFound:
    return NotFound("this link is used up, over, or none of ours: ask for a new one")
