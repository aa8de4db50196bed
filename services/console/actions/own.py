"""What users do with their own log-in (I/O: SQL): password, app, keys, recovery codes, browsers.

Whoever calls has seen to it that the user proved lately who they are, where that is needed.
On failure: ActionError; nothing is changed then.
"""

import time

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotFound, NotUnderstood, OutOfBounds
from services.console.actions.user_rules import verifier_for
from services.console.answers.users import Browser
from services.console.identity.directory import read_user
from services.console.identity.passkeys import (
    MOST_PER_USER,
    Passkey,
    PasskeyRefused,
    Question,
    add_key,
    ask_for_new_key,
    passkeys_of,
    remove_key,
)
from services.console.identity.recovery_codes import forget_codes, make_codes
from services.console.identity.rights import Right, Via, contained, within
from services.console.identity.sessions import IDLE_S, Session, Step, ask, take_challenge
from services.console.identity.tables import invitations, sessions, users
from services.console.identity.totp import matching_step, new_totp_secret

_TOTP = "totp "


async def list_sessions(desk: Desk, user: str | None = None) -> list[Browser]:
    """Return the browsers that are logged in, the last seen first. user: None for all users' (Right.USERS)."""
    _must_be_own(desk, user)
    now = time.time()
    query = select(sessions).where(
        sessions.c.step == Step.WHOLE.value, sessions.c.ends_at > now, sessions.c.seen_at > now - IDLE_S
    )
    if user is not None:
        query = query.where(sessions.c.user_name == user)
    async with desk.database.reading() as connection:
        rows = await connection.execute(query.order_by(sessions.c.seen_at.desc(), sessions.c.digest).limit(1000))
        return [
            Browser(row.digest, row.user_name, row.address, row.agent, row.made_at, row.seen_at, row.ends_at)
            for row in rows
        ]


async def end_browser(desk: Desk, browser: str) -> None:
    """End a browser's session: one's own, or with Right.USERS anybody's. Raises NotFound."""
    async with desk.database.writing() as connection:
        row = (await connection.execute(select(sessions).where(sessions.c.digest == browser))).one_or_none()
        if row is None or not (row.user_name == desk.caller.user or _may_all(desk)):
            raise NotFound("there is no such session: it may be over")
        await _must_not_be_more(desk, connection, row.user_name)
        await connection.execute(delete(sessions).where(sessions.c.digest == browser))
        await desk.note(connection, "session end", row.user_name, address_of_session=row.address)


async def change_password(desk: Desk, session: Session, password: str) -> None:
    """Set a new password; the user's other sessions end, and so do links to another one. Raises NotUnderstood."""
    user = session.caller.user
    verifier = await verifier_for(password, user)
    async with desk.database.writing() as connection:
        await connection.execute(
            update(users).where(users.c.name == user).values(argon2=verifier, changed_at=time.time())
        )
        others = (sessions.c.user_name == user, sessions.c.digest != session.digest)
        ended = (await connection.execute(delete(sessions).where(*others))).rowcount
        await connection.execute(delete(invitations).where(invitations.c.user_name == user))
        await desk.note(connection, "password set", user, by="own", sessions_ended=ended)


async def begin_app(desk: Desk, session: Session) -> str:
    """Return the secret for an authenticator app; it counts once a code of it has come. The session keeps it."""
    pending = pending_app(session)
    if pending is not None:
        return pending
    secret = new_totp_secret()
    await ask(desk.database, session.digest, _TOTP + secret)
    return secret


def pending_app(session: Session) -> str | None:
    """Return the secret that a session's user is setting up, or None."""
    asked = session.challenge or ""
    return asked.removeprefix(_TOTP) if asked.startswith(_TOTP) else None


async def confirm_app(desk: Desk, session: Session, code: str, now: float) -> None:
    """Make an app the second factor, in place of an earlier one. Raises NotUnderstood for a wrong code."""
    secret = pending_app(session)
    step = matching_step(secret, code, now, None) if secret is not None else None
    if secret is None or step is None:
        raise NotUnderstood("that is not the code that the app shows now: is the clock of the phone right?")
    user = session.caller.user
    async with desk.database.writing() as connection:
        values = {"totp_secret": secret, "totp_step": step, "changed_at": time.time()}
        await connection.execute(update(users).where(users.c.name == user).values(values))
        await connection.execute(update(sessions).where(sessions.c.digest == session.digest).values(challenge=None))
        await desk.note(connection, "authenticator app add", user)


async def remove_app(desk: Desk) -> None:
    """Do without the app."""
    user = desk.caller.user
    async with desk.database.writing() as connection:
        gone = (
            update(users).where(users.c.name == user).values(totp_secret=None, totp_step=None, changed_at=time.time())
        )
        await connection.execute(gone)
        await _forget_useless_codes(connection, user)
        await desk.note(connection, "authenticator app remove", user)


async def begin_key(desk: Desk, session: Session) -> Question:
    """Ask for a new key. Raises ActionError."""
    user = session.caller.user
    async with desk.database.reading() as connection:
        known = await passkeys_of(connection, user)
    if len(known) >= MOST_PER_USER:
        raise NotUnderstood(f"at most {MOST_PER_USER} keys: remove one first")
    question = ask_for_new_key(desk.settings, user, known)
    await ask(desk.database, session.digest, question.challenge)
    return question


async def finish_key(desk: Desk, session: Session, label: str, answer: str, now: float) -> Passkey:
    """Keep the key that a browser made. Raises NotUnderstood."""
    challenge = await take_challenge(desk.database, session.digest)
    user = session.caller.user
    try:
        if not challenge or challenge.startswith(_TOTP):
            raise PasskeyRefused
        async with desk.database.writing() as connection:
            key = await add_key(connection, desk.settings, user, label, answer=answer, challenge=challenge, now=now)
            await desk.note(connection, "passkey add", user, label=key.label)
            return key
    except PasskeyRefused:
        raise NotUnderstood("the key's answer was not taken: begin again") from None


async def drop_key(desk: Desk, key: str) -> None:
    """Remove a key of the caller. Raises NotFound."""
    async with desk.database.writing() as connection:
        if not await remove_key(connection, desk.caller.user, key):
            raise NotFound("there is no such passkey")
        await _forget_useless_codes(connection, desk.caller.user)
        await desk.note(connection, "passkey remove", desk.caller.user, key=key[:40])


async def make_recovery_codes(desk: Desk) -> list[str]:
    """Return ten new recovery codes of the caller; the earlier ones are void. Raises ActionError."""
    user = desk.caller.user
    async with desk.database.writing() as connection:
        # SQLite writes one at a time; elsewhere the second of two waits here, and its codes are the ones that hold.
        await connection.execute(select(users.c.name).where(users.c.name == user).with_for_update())
        shown = await read_user(connection, user)
        if shown is None or not (shown.totp or shown.passkeys):
            raise ActionError("recovery codes stand in for an app or a passkey: add one first")
        codes = await make_codes(connection, desk.settings, user)
        await desk.note(connection, "recovery codes make", user, count=len(codes))
    return codes


async def _forget_useless_codes(connection: AsyncConnection, user: str) -> None:
    """Make codes void that stand in for nothing any more, so that none lies about when a new app is set up."""
    left = await read_user(connection, user)
    if left is not None and not (left.totp or left.passkeys):
        await forget_codes(connection, user)


def _must_be_own(desk: Desk, user: str | None) -> None:
    if not (_may_all(desk) or (user is not None and user == desk.caller.user)):
        raise OutOfBounds("these are other users' sessions")


async def _must_not_be_more(desk: Desk, connection: AsyncConnection, user: str) -> None:
    """Raise OutOfBounds where a program would log out a user who may more than itself."""
    owner = await read_user(connection, user)
    if desk.caller.via is not Via.TOKEN or owner is None:
        return
    domains = None if owner.domains is None else frozenset(owner.domains)
    if not (within(owner.role, desk.caller.role) and contained(domains, desk.caller.domains)):
        raise OutOfBounds("that user may more than this token")


def _may_all(desk: Desk) -> bool:
    return desk.caller.may(Right.USERS) and desk.caller.sees_all
