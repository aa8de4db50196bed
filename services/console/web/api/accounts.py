"""SMTP accounts, and who logged in."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.console.actions import accounts, log_ins
from services.console.actions.accounts import Listed
from services.console.actions.desk import Desk
from services.console.answers.accounts import LogIn, Made
from services.console.identity.rights import Right
from services.console.web.cursor import LIMIT, Page, decode_cursor, encode_cursor
from services.console.web.who import at_desk

router = APIRouter(tags=["accounts"])
Login = Annotated[str, Path(min_length=1, max_length=320)]
Sender = Annotated[str, Field(min_length=1, max_length=320)]
Senders = Annotated[list[Sender], Field(max_length=1000)]


class Password(BaseModel):
    """A password. password: null has one made. elsewhere: it is known to the directory or Kerberos alone."""

    model_config = ConfigDict(extra="forbid")
    password: str | None = Field(None, max_length=accounts.PASSWORD_MAX, repr=False)
    elsewhere: bool = False


class NewAccount(Password):
    """An account to be added. senders: addresses or `@domain`; none: its login alone.

    replace: one that is there gets this password and these senders.
    """

    login: str = Field(min_length=1, max_length=320)
    senders: Senders = []
    cram_md5: bool = False
    replace: bool = False


class Change(BaseModel):
    """What is to change; null: it stays."""

    model_config = ConfigDict(extra="forbid")
    senders: Senders | None = None
    disabled: bool | None = None


@router.get("/accounts")
async def list_accounts(desk: Desk = at_desk(Right.ACCOUNTS)) -> list[Listed]:
    """List the accounts by login."""
    return await accounts.list_accounts(desk)


@router.post("/accounts", status_code=201)
async def add(new: NewAccount, desk: Desk = at_desk(Right.ACCOUNTS)) -> Made:
    """Add an account."""
    password, told = _password(new)
    made = await accounts.add_account(
        desk, new.login, password, new.senders, replace=new.replace, cram_md5=new.cram_md5
    )
    return Made(await accounts.show_account(desk, made.login), told)


@router.get("/accounts/{login}")
async def show(login: Login, desk: Desk = at_desk(Right.ACCOUNTS)) -> Listed:
    """Show an account."""
    return await accounts.show_account(desk, login)


@router.patch("/accounts/{login}")
async def change(login: Login, wanted: Change, desk: Desk = at_desk(Right.ACCOUNTS)) -> Listed:
    """Change what an account may send as, or keep it from logging in."""
    if wanted.senders is not None:
        await accounts.set_senders(desk, login, wanted.senders)
    if wanted.disabled is not None:
        await accounts.disable_account(desk, login, disabled=wanted.disabled)
    return await accounts.show_account(desk, login)


@router.put("/accounts/{login}/password")
async def set_password(login: Login, new: Password, desk: Desk = at_desk(Right.ACCOUNTS)) -> Made:
    """Give an account another password."""
    password, told = _password(new)
    await accounts.set_password(desk, login, password)
    return Made(await accounts.show_account(desk, login), told)


@router.delete("/accounts/{login}", status_code=204)
async def remove(login: Login, desk: Desk = at_desk(Right.ACCOUNTS)) -> None:
    """Remove an account."""
    await accounts.remove_account(desk, login)


@router.get("/log-ins")
async def who_logged_in(
    address: Annotated[str, Query(max_length=64)] = "",
    login: Annotated[str, Query(max_length=320)] = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 50,
    desk: Desk = at_desk(Right.ACCOUNTS),
) -> Page[LogIn]:
    """List who logged in from an address, or whence an account did, and what they sent, the newest first."""
    behind = decode_cursor(cursor) if cursor else None
    found, following = await log_ins.log_ins(desk, address=address, login=login, behind=behind, limit=limit)
    return Page(found, encode_cursor(*following) if following else None)


def _password(new: Password) -> tuple[str | None, str | None]:
    """Return the password, and what of it is told."""
    if new.elsewhere:
        return None, None
    if new.password is not None:
        return new.password, None
    made = accounts.new_password()
    return made, made
