"""SMTP accounts: kept in SQL, and sent whole to the stream that edge reads (I/O: SQL, broker).

Owns: what a login, a password and a sender may be, and what is kept of a password: an Argon2id verifier and keys of
SCRAM-SHA-256. The password itself is kept for accounts with CRAM-MD5 alone, which needs it, and else nowhere.
Domain managers have the accounts whose login is an address of their domains; one that may send as somebody of another
domain is shown to them, and changed by others.
On failure: ActionError; nothing is changed then.
"""

import asyncio
import dataclasses
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotFound, NotUnderstood
from services.console.answers.accounts import Listed
from services.console.tables import account_books, accounts
from shared.accounts import Account, AccountBook, encode_accounts
from shared.address import AddressError, parse_address, parse_domain
from shared.broker.topology import Exchange, Key
from shared.saslprep import SaslprepError, saslprep
from shared.scram import SALT_BYTES, derive_keys

__all__ = [
    "PASSWORD_MAX",
    "PASSWORD_MIN",
    "Listed",
    "add_account",
    "disable_account",
    "list_accounts",
    "new_password",
    "remove_account",
    "set_password",
    "set_senders",
    "show_account",
]

PASSWORD_MIN = 8
PASSWORD_MAX = 1024
_LOGIN = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,320}\Z")


async def list_accounts(desk: Desk) -> list[Listed]:
    """Return all accounts by login; of a domain manager those of the domains."""
    async with desk.database.reading() as connection:
        rows = await connection.execute(select(accounts).where(_of_caller(desk)).order_by(accounts.c.login))
        return [_listed(row) for row in rows]


async def show_account(desk: Desk, login: str) -> Listed:
    """Return one account. Raises ActionError."""
    desk.must_cover(login)
    async with desk.database.reading() as connection:
        return _listed(await _found(connection, login))


def new_password() -> str:
    """Return a password that nobody guesses."""
    return secrets.token_urlsafe(18)


async def add_account(
    desk: Desk,
    login: str,
    password: str | None,
    senders: Sequence[str] = (),
    *,
    replace: bool = False,
    cram_md5: bool = False,
) -> Account:
    """Add an account, or with `replace` give an existing one a new password and senders. Raises ActionError.

    password: None if it is known elsewhere. cram_md5: keep the password itself, too.
    """
    account = Account(_checked_login(login, senders), senders=tuple(map(_checked_sender, senders)))
    _must_be_of_caller(desk, account.login, account.senders)
    account = await asyncio.to_thread(_with_password, account, password, cram_md5=cram_md5)
    async with desk.database.writing() as connection:
        before = (await connection.execute(select(accounts).where(accounts.c.login == account.login))).one_or_none()
        if before is not None:
            if not replace:
                raise ActionError(
                    f"there is an account {account.login}; --replace gives it this password and these senders"
                )
            _must_be_of_caller(desk, account.login, json.loads(before.senders))
            await connection.execute(delete(accounts).where(accounts.c.login == account.login))
        row = {
            "login": account.login,
            "argon2": account.argon2 or "",
            "scram": account.scram,
            "cram_md5": account.cram_md5,
            "senders": json.dumps(account.senders),
            "disabled": False,
            "created_at": time.time(),
        }
        await connection.execute(insert(accounts), [row])
        await desk.note(connection, "account add", account.login, senders=account.senders, cram_md5=cram_md5)
        await _publish_book(desk, connection)
    return account


async def set_password(desk: Desk, login: str, password: str | None) -> None:
    """Give an account another password; its senders stay. Raises ActionError.

    password: None if it is known elsewhere. An account with CRAM-MD5 keeps that.
    """
    async with desk.database.reading() as connection:
        row = await _mine(desk, connection, login)
    cram_md5 = row.cram_md5 is not None and password is not None
    account = await asyncio.to_thread(_with_password, Account(row.login), password, cram_md5=cram_md5)
    kept = {"argon2": account.argon2 or "", "scram": account.scram, "cram_md5": account.cram_md5}
    await _change(desk, login, kept, "account password", elsewhere=password is None)


async def set_senders(desk: Desk, login: str, senders: Sequence[str]) -> None:
    """Say which addresses or `@domain`s an account may send as; none: its own. Raises ActionError."""
    checked = tuple(map(_checked_sender, senders))
    _checked_login(login, senders)
    _must_be_of_caller(desk, login, checked)
    await _change(desk, login, {"senders": json.dumps(checked)}, "account senders", senders=checked)


async def disable_account(desk: Desk, login: str, *, disabled: bool = True) -> None:
    """Keep an account from logging in, or let it again. Raises ActionError."""
    await _change(desk, login, {"disabled": disabled}, "account disable" if disabled else "account enable")


async def remove_account(desk: Desk, login: str) -> None:
    """Remove an account. Raises ActionError if there is none of this login."""
    async with desk.database.writing() as connection:
        row = await _mine(desk, connection, login)
        await connection.execute(delete(accounts).where(accounts.c.login == row.login))
        await desk.note(connection, "account remove", row.login)
        await _publish_book(desk, connection)


async def _change(desk: Desk, login: str, values: Mapping[str, object], action: str, **details: object) -> None:
    async with desk.database.writing() as connection:
        row = await _mine(desk, connection, login)
        await connection.execute(update(accounts).where(accounts.c.login == row.login).values(dict(values)))
        await desk.note(connection, action, row.login, **details)
        await _publish_book(desk, connection)


async def _mine(desk: Desk, connection: AsyncConnection, login: str) -> Row[Any]:
    """Return the row of an account that the caller may change. Raises ActionError."""
    desk.must_cover(login)
    row = await _found(connection, login)
    _must_be_of_caller(desk, row.login, json.loads(row.senders))
    return row


async def _found(connection: AsyncConnection, login: str) -> Row[Any]:
    row = (await connection.execute(select(accounts).where(accounts.c.login == login.lower()))).one_or_none()
    if row is None:
        raise NotFound(f"there is no account {login}")
    return row


def _listed(row: Row[Any]) -> Listed:
    return Listed(
        row.login,
        tuple(json.loads(row.senders)),
        row.disabled,
        row.created_at,
        elsewhere=not row.argon2,
        cram_md5=row.cram_md5 is not None,
    )


def _of_caller(desk: Desk) -> ColumnElement[bool]:
    if desk.caller.domains is None:
        return true()
    return or_(*(accounts.c.login.endswith(f"@{domain}", autoescape=True) for domain in desk.caller.domains))


def _must_be_of_caller(desk: Desk, login: str, senders: Sequence[str]) -> None:
    """Raise OutOfBounds unless login and senders are of the caller's domains."""
    if not desk.caller.sees_all:
        desk.must_cover(login, *senders)


async def _publish_book(desk: Desk, connection: AsyncConnection) -> None:
    known = await connection.scalar(select(func.max(account_books.c.version))) or 0
    # At least the time: a database that was made anew never sends a version that edge takes for an old one.
    version = max(known + 1, int(time.time()))
    rows = await connection.execute(select(accounts).order_by(accounts.c.login))
    entries = tuple(
        Account(
            row.login,
            row.argon2 or None,
            tuple(json.loads(row.senders)),
            row.disabled,
            scram=row.scram,
            cram_md5=row.cram_md5,
        )
        for row in rows
    )
    await connection.execute(insert(account_books), [{"version": version, "author": desk.who, "at": time.time()}])
    await desk.publish(
        Exchange.ACCOUNTS,
        Key.ACCOUNTS,
        encode_accounts(AccountBook(version, entries)),
        else_="nothing is changed",
        message_type="gatepost.accounts.v1",
    )


def _with_password(account: Account, password: str | None, *, cram_md5: bool) -> Account:
    if password is None:
        if cram_md5:
            raise ActionError("CRAM-MD5 needs the password here; it cannot be known elsewhere")
        return account
    try:
        # RFC 5802 §2.2: prepared as text that is stored; clients of PLAIN are taken the same way.
        prepared = saslprep(password, stored=True)
    except SaslprepError as error:
        raise ActionError(f"the password has {error}") from None
    if len(prepared) < PASSWORD_MIN or len(prepared.encode()) > PASSWORD_MAX:
        raise ActionError(f"a password has {PASSWORD_MIN} characters at least, and {PASSWORD_MAX} octets at most")
    return dataclasses.replace(
        account,
        # RFC 9106 §4: Argon2id; argon2-cffi's parameters follow its second recommended option.
        argon2=PasswordHasher().hash(prepared),
        scram=str(derive_keys(prepared, secrets.token_bytes(SALT_BYTES))),
        cram_md5=prepared if cram_md5 else None,
    )


def _checked_login(login: str, senders: Sequence[str]) -> str:
    if not _LOGIN.match(login):
        raise NotUnderstood("a login has 1 to 320 characters, without spaces and control characters")
    if not senders:
        try:
            parse_address(login)
        except AddressError as error:
            raise ActionError(
                f"{error}: a login that is no address needs --sender, else it could send nothing"
            ) from None
    try:
        return saslprep(login, stored=True).lower()
    except SaslprepError as error:
        raise ActionError(f"the login has {error}") from None


def _checked_sender(sender: str) -> str:
    try:
        return f"@{parse_domain(sender[1:])}" if sender.startswith("@") else str(parse_address(sender)).lower()
    except AddressError as error:
        raise ActionError(f"--sender {sender}: {error}; expected an address or @domain") from None
