"""Logging in, step by step (I/O: SQL, threads that hash).

Owns: what a user must show (a password and, if they have an app or keys, a code, a key or a recovery code; or a key
that knows its owner), that an unknown name costs the time of a known one, and the audit of what came of it.
On failure: Throttled, TooBusy; a wrong proof is a value (None), and never says which part of it was wrong.
"""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.identity.known_browser import browser_subject, is_mark_of, new_mark
from services.console.identity.passkeys import PasskeyRefused, passkeys_of, user_of_answer
from services.console.identity.passwords import is_right, renewed
from services.console.identity.recovery_codes import codes_left, take_recovery_code
from services.console.identity.refusals import note_refusal
from services.console.identity.rights import Caller, Role, Via
from services.console.identity.sessions import Session, Step, end_session, open_session
from services.console.identity.tables import users
from services.console.identity.throttle import Attempt, begin_attempt, undo_attempt
from services.console.identity.throttle_rules import name_subject
from services.console.identity.totp import matching_step
from services.console.settings import ConsoleSettings

# What stands in the audit for a name that no user has: it may be a password, typed into the wrong field.
UNKNOWN = "unknown name"
_FIRST_STEP = "first step"


@dataclass(frozen=True, slots=True)
class Browser:
    """What asks. digest: of the session so far, which the next one replaces. mark: of a browser that is known."""

    address: str
    agent: str
    digest: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Entered:
    """What a right proof leads to. cookie: the new session's value. mark: for the browser to be known by."""

    cookie: str
    step: Step
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Decides on log-ins."""

    settings: ConsoleSettings
    database: Database
    now: float

    async def by_password(self, name: str, password: str, browser: Browser) -> Entered | None:
        """Take name and password. Returns None if they are not of one user who may log in."""
        name = name.strip().lower()
        attempt = await self._begin(name or UNKNOWN, browser)
        row = await self._user(name)
        known = row is not None and not row.disabled and bool(row.argon2)
        right = await is_right(password, row.argon2 if row is not None and known else "")
        if row is None or not right:
            await self._note(row.name if row is not None else UNKNOWN, "log-in failed", browser, by="password")
            return None
        step = Step.PASSWORD if row.totp_secret or await self._has_keys(row.name) else Step.WHOLE
        await undo_attempt(self.database, attempt, whole=step is Step.WHOLE)
        better = await renewed(password, row.argon2)
        if better is not None:
            async with self.database.writing() as connection:
                await connection.execute(update(users).where(users.c.name == row.name).values(argon2=better))
        return await self._enter(row.name, step, browser, by="password")

    async def by_code(self, session: Session, code: str, browser: Browser) -> Entered | None:
        """Take the second step's code. Returns None if it is wrong or was taken before."""
        user = session.caller.user
        attempt = await self._begin(user, browser)
        if not await take_code(self.database, user, code, self.now):
            await self._note(user, "log-in failed", browser, by="code")
            return None
        await undo_attempt(self.database, attempt, whole=True)
        return await self._enter(user, Step.WHOLE, browser, by="password and code")

    async def by_recovery_code(self, session: Session, code: str, browser: Browser) -> Entered | None:
        """Take a recovery code as the second step. Returns None if it is none of the user's, or was used before."""
        user = session.caller.user
        attempt = await self._begin(user, browser)
        async with self.database.writing() as connection:
            right = await take_recovery_code(connection, self.settings, user, code)
            left = await codes_left(connection, user)
        if not right:
            await self._note(user, "log-in failed", browser, by="recovery code")
            return None
        await undo_attempt(self.database, attempt, whole=True)
        return await self._enter(user, Step.WHOLE, browser, by="password and recovery code", left=left)

    async def by_key(
        self, answer: str, challenge: str | None, browser: Browser, *, user: str | None = None, action: str = "log-in"
    ) -> Entered | None:
        """Take a key's answer. user: the only one whose keys count, None if nobody gave a password.

        action: for the audit; for a proof of who is in already the key must know its owner, as it stands alone.
        """
        alone = user is None or action == "proof"
        attempt = await self._begin(user or "", browser)
        try:
            if challenge is None:
                raise PasskeyRefused
            async with self.database.writing() as connection:
                found = await user_of_answer(
                    connection,
                    self.settings,
                    answer=answer,
                    challenge=challenge,
                    now=self.now,
                    alone=alone,
                    user=user,
                )
            row = await self._user(found)
            if row is None or row.disabled:
                raise PasskeyRefused
        except PasskeyRefused:
            await self._note(user or UNKNOWN, f"{action} failed", browser, by="passkey")
            return None
        await undo_attempt(self.database, attempt, whole=True)
        by = "passkey" if alone else "password and passkey"
        return await self._enter(found, Step.WHOLE, browser, by=by, action=action)

    async def again(self, session: Session, password: str, browser: Browser) -> Entered | None:
        """Take the password of somebody who is in already. Returns None if it is wrong."""
        user = session.caller.user
        attempt = await self._begin(user, browser)
        row = await self._user(user)
        if row is None or not await is_right(password, row.argon2):
            await self._note(user, "proof failed", browser, by="password")
            return None
        await undo_attempt(self.database, attempt, whole=True)
        return await self._enter(user, Step.WHOLE, browser, by="password", action="proof")

    async def leave(self, session: Session, browser: Browser) -> None:
        """End a session whose user wants that."""
        await end_session(self.database, session.digest)
        await self._note(session.caller.user, "log-out", browser)

    async def _enter(
        self, user: str, step: Step, browser: Browser, *, by: str, action: str = "log-in", **details: object
    ) -> Entered:
        cookie = await open_session(
            self.database,
            user,
            step,
            address=browser.address,
            agent=browser.agent,
            now=self.now,
            instead_of=browser.digest,
        )
        done = action if step is Step.WHOLE else _FIRST_STEP
        await self._note(user, done, browser, by=by, **details)
        return Entered(cookie, step, new_mark(self._secret, user) if step is Step.WHOLE else "")

    async def _begin(self, name: str, browser: Browser) -> Attempt:
        """Count an attempt, of a browser that is known by itself. name: empty if none was given."""
        subject = name_subject(name) if name else ""
        if name and is_mark_of(self._secret, name, browser.mark):
            subject = browser_subject(browser.mark)
        return await begin_attempt(self.database, subject, browser.address, self.now)

    @property
    def _secret(self) -> str:
        assert self.settings.web is not None, "there are no pages without it"
        return self.settings.web.secret.get_secret_value()

    async def _user(self, name: str) -> "UserRow | None":
        if not name.isprintable():
            return None
        async with self.database.reading() as connection:
            return await find_user(connection, name)

    async def _has_keys(self, user: str) -> bool:
        async with self.database.reading() as connection:
            return bool(await passkeys_of(connection, user))

    async def _note(self, who: str, action: str, browser: Browser, **details: object) -> None:
        desk = Desk(self.settings, self.database, Caller(who, Role.VIEWER, frozenset(), Via.BROWSER, browser.address))
        details = {"agent": browser.agent[:200], **details}
        # What a stranger can do again and again, who knows no more than a name or a password.
        if action.endswith(" failed") or action == _FIRST_STEP:
            await note_refusal(desk, action, who, self.now, stranger=True, **details)
            return
        async with self.database.writing() as connection:
            await desk.note(connection, action, who, **details)


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user with what proves them."""

    name: str
    disabled: bool
    argon2: str
    totp_secret: str | None
    totp_step: int | None


async def find_user(connection: AsyncConnection, name: str) -> UserRow | None:
    """Return a user by name, or None."""
    row = (await connection.execute(select(users).where(users.c.name == name))).one_or_none()
    return None if row is None else UserRow(row.name, row.disabled, row.argon2, row.totp_secret, row.totp_step)


async def take_code(database: Database, user: str, code: str, now: float) -> bool:
    """Take a code of a user's app: whether it is right, and of no step that was taken before."""
    async with database.writing() as connection:
        row = await find_user(connection, user)
        if row is None or row.totp_secret is None:
            return False
        step = matching_step(row.totp_secret, code, now, row.totp_step)
        if step is None:
            return False
        newer = users.c.totp_step.is_(None) | (users.c.totp_step < step)
        taken = update(users).where(users.c.name == user, newer).values(totp_step=step)
        return bool((await connection.execute(taken)).rowcount)
