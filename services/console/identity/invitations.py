"""Links that are good once (I/O: SQL): the first administrator's, an invitation, a new password.

Owns: that one is good for seven days, is used up by setting a password and not by looking at it (programs that read
mail follow links), and that a user's newer link ends the older.
"""

from dataclasses import dataclass

from sqlalchemy import delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.identity.rights import Role
from services.console.identity.secret import digest_of, new_secret
from services.console.identity.tables import invitations, users

GOOD_FOR_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Invitation:
    """One that is open. user: empty for the first administrator, who chooses a name."""

    digest: str
    user: str
    made_by: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class Made:
    """A new one. secret: for the link, and nowhere else."""

    secret: str
    ends_at: float


async def make_invitation(connection: AsyncConnection, user: str, role: Role, made_by: str, now: float) -> Made:
    """Write an invitation, in place of the user's earlier ones."""
    secret = new_secret()
    row = {
        "digest": digest_of(secret),
        "user_name": user,
        "role": role.value,
        "made_by": made_by,
        "made_at": now,
        "ends_at": now + GOOD_FOR_S,
    }
    old = (invitations.c.user_name == user) | (invitations.c.ends_at < now)
    await connection.execute(delete(invitations).where(old))
    await connection.execute(insert(invitations), [row])
    return Made(secret, now + GOOD_FOR_S)


async def find_invitation(connection: AsyncConnection, secret: str, now: float) -> Invitation | None:
    """Return an invitation that is open, or None."""
    query = select(invitations).where(invitations.c.digest == digest_of(secret), invitations.c.ends_at > now)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Invitation(row.digest, row.user_name, row.made_by, row.ends_at)


async def use_invitation(connection: AsyncConnection, invitation: Invitation) -> bool:
    """Use an invitation up. Returns False if somebody else did."""
    return bool(
        (await connection.execute(delete(invitations).where(invitations.c.digest == invitation.digest))).rowcount
    )


async def first_is_open(connection: AsyncConnection, now: float) -> bool:
    """Whether there is a link for the first administrator already."""
    query = select(exists().where(invitations.c.user_name == "", invitations.c.ends_at > now))
    return bool(await connection.scalar(query))


async def has_administrator(connection: AsyncConnection) -> bool:
    """Whether anybody could log in as administrator."""
    able = (users.c.role == Role.ADMINISTRATOR.value, users.c.disabled.is_(False), users.c.argon2 != "")
    return bool(await connection.scalar(select(exists().where(*able))))
