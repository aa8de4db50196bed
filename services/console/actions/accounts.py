"""SMTP accounts: kept in SQL, and sent whole to the stream that edge reads (I/O: SQL, broker).

Owns: what a login, a password and a sender may be, and the Argon2id verifier; the password itself is kept nowhere.
On failure: ActionError; nothing is changed then.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from argon2 import PasswordHasher
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk
from services.console.tables import account_books, accounts
from shared.accounts import Account, AccountBook, encode_accounts
from shared.address import AddressError, parse_address, parse_domain
from shared.broker.topology import Exchange, Key

PASSWORD_MIN = 8
PASSWORD_MAX = 1024
_LOGIN = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,320}\Z")


@dataclass(frozen=True, slots=True)
class Listed:
    """An account as a list shows it."""

    login: str
    senders: tuple[str, ...]
    disabled: bool
    created_at: float


async def list_accounts(desk: Desk) -> list[Listed]:
    """Return all accounts by login."""
    async with desk.database.reading() as connection:
        rows = await connection.execute(select(accounts).order_by(accounts.c.login))
        return [Listed(row.login, tuple(json.loads(row.senders)), row.disabled, row.created_at) for row in rows]


async def add_account(
    desk: Desk, login: str, password: str, senders: Sequence[str] = (), *, replace: bool = False
) -> Account:
    """Add an account, or with `replace` give an existing one a new password and senders. Raises ActionError."""
    account = Account(_checked_login(login, senders), "", tuple(map(_checked_sender, senders)))
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise ActionError(f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters")
    # RFC 9106 §4: Argon2id; argon2-cffi's parameters follow its second recommended option.
    account = Account(account.login, PasswordHasher().hash(password), account.senders)
    async with desk.database.writing() as connection:
        removed = await connection.execute(delete(accounts).where(accounts.c.login == account.login))
        if removed.rowcount and not replace:
            raise ActionError(
                f"there is an account {account.login}; --replace gives it this password and these senders"
            )
        row = {
            "login": account.login,
            "argon2": account.argon2,
            "senders": json.dumps(account.senders),
            "disabled": False,
            "created_at": time.time(),
        }
        await connection.execute(insert(accounts), [row])
        await desk.note(connection, "account add", account.login, senders=account.senders)
        await _publish_book(desk, connection)
    return account


async def remove_account(desk: Desk, login: str) -> None:
    """Remove an account. Raises ActionError if there is none of this login."""
    async with desk.database.writing() as connection:
        removed = await connection.execute(delete(accounts).where(accounts.c.login == login.lower()))
        if not removed.rowcount:
            raise ActionError(f"there is no account {login}")
        await desk.note(connection, "account remove", login.lower())
        await _publish_book(desk, connection)


async def _publish_book(desk: Desk, connection: AsyncConnection) -> None:
    known = await connection.scalar(select(func.max(account_books.c.version))) or 0
    # At least the time: a database that was made anew never sends a version that edge takes for an old one.
    version = max(known + 1, int(time.time()))
    rows = await connection.execute(select(accounts).order_by(accounts.c.login))
    entries = tuple(Account(row.login, row.argon2, tuple(json.loads(row.senders)), row.disabled) for row in rows)
    await connection.execute(insert(account_books), [{"version": version, "author": desk.who, "at": time.time()}])
    await desk.publish(
        Exchange.ACCOUNTS,
        Key.ACCOUNTS,
        encode_accounts(AccountBook(version, entries)),
        else_="nothing is changed",
        message_type="gatepost.accounts.v1",
    )


def _checked_login(login: str, senders: Sequence[str]) -> str:
    if not _LOGIN.match(login):
        raise ActionError("a login has 1 to 320 characters, without spaces and control characters")
    if not senders:
        try:
            parse_address(login)
        except AddressError as error:
            raise ActionError(
                f"{error}: a login that is no address needs --sender, else it could send nothing"
            ) from None
    return login.lower()


def _checked_sender(sender: str) -> str:
    try:
        return f"@{parse_domain(sender[1:])}" if sender.startswith("@") else str(parse_address(sender)).lower()
    except AddressError as error:
        raise ActionError(f"--sender {sender}: {error}; expected an address or @domain") from None
