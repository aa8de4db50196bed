"""Programs' ways in: API tokens (I/O: SQL).

A token has a role and domains of its own, never more than its user has at the moment of each request.
"""

from sqlalchemy import select, update

from services.console.database import Database
from services.console.identity.rights import Caller, Role, Via, within
from services.console.identity.secret import digest_of
from services.console.identity.sessions import domains_of
from services.console.identity.tables import tokens, users

# A request writes when its token was last used no more often than so.
_USED_EVERY_S = 60.0


async def caller_of_token(database: Database, token: str, address: str, now: float) -> Caller | None:
    """Return who acts by a token, or None: unknown, expired, or its user is gone or disabled."""
    digest = digest_of(token)
    query = (
        select(tokens, users.c.role.label("user_role"), users.c.domains.label("user_domains"))
        .join(users, users.c.name == tokens.c.user_name)
        .where(tokens.c.digest == digest, users.c.disabled.is_(False), tokens.c.ends_at > now)
    )
    async with database.reading() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    if row.used_at is None or row.used_at < now - _USED_EVERY_S or row.used_from != address:
        async with database.writing() as connection:
            used = update(tokens).where(tokens.c.digest == digest).values(used_at=now, used_from=address)
            await connection.execute(used)
    own, users_now = Role(row.role), Role(row.user_role)
    return Caller(
        f"{row.user_name} ({row.label})",
        own if within(own, users_now) else users_now,
        _narrowed(domains_of(row.domains), domains_of(row.user_domains)),
        Via.TOKEN,
        address=address,
        session=row.id,
        user=row.user_name,
    )


def _narrowed(own: frozenset[str] | None, users_now: frozenset[str] | None) -> frozenset[str] | None:
    """Return the domains that a token may still speak of."""
    if own is None:
        return users_now
    return own if users_now is None else own & users_now
