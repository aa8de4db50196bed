"""SMTP accounts: who may send through us, as whom, and who did."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Response
from fastapi.responses import RedirectResponse

from services.console.actions import accounts, log_ins
from services.console.actions.desk import ActionError
from services.console.answers.accounts import LogIn
from services.console.identity.rights import Right
from services.console.web.cursor import decode_cursor, encode_cursor
from services.console.web.who import Visit, visiting

router = APIRouter()
_SHOWN = 50
_NOTES = {
    "senders": "From now on the account may send as these.",
    "disabled": "The account cannot log in any more.",
    "enabled": "The account may log in again.",
    "removed": "The account is removed.",
    "password": "The new password holds from now on.",
}
Login = Annotated[str, Form(max_length=320)]
Wanted = Annotated[str, Query(max_length=320)]
Password = Annotated[str, Form(max_length=accounts.PASSWORD_MAX)]
Senders = Annotated[str, Form(max_length=40_000)]


@router.get("/accounts")
async def show_all(visit: Visit = visiting(Right.ACCOUNTS), note: str = "") -> Response:
    """List the accounts."""
    found = await accounts.list_accounts(visit.desk)
    return visit.page("accounts/list.html", accounts=found, note=_NOTES.get(note, ""))


@router.get("/accounts/new")
async def add_form(visit: Visit = visiting(Right.ACCOUNTS)) -> Response:
    """Ask who it is."""
    return _add(visit)


@router.post("/accounts/new")
async def add(
    visit: Visit = visiting(Right.ACCOUNTS),
    login: Login = "",
    password: Password = "",
    senders: Senders = "",
    elsewhere: Annotated[bool, Form()] = False,
) -> Response:
    """Add an account, and show the password once if it was made here."""
    given, told = _password(password, elsewhere=elsewhere)
    try:
        made = await accounts.add_account(visit.desk, login.strip(), given, senders.replace(",", " ").split())
    except ActionError as error:
        return _add(visit, login=login, senders=senders, error=str(error), status_code=error.status)
    return visit.page("accounts/made.html", login=made.login, password=told, is_new=True)


@router.get("/accounts/show")
async def show(login: Wanted, visit: Visit = visiting(Right.ACCOUNTS), note: str = "") -> Response:
    """Show an account, and its last log-ins."""
    return await _one(visit, login, note=_NOTES.get(note, ""))


@router.get("/accounts/log-ins")
async def who(
    visit: Visit = visiting(Right.ACCOUNTS),
    address: Annotated[str, Query(max_length=64)] = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show who logged in from an address, and what they sent."""
    found: list[LogIn] = []
    following, error, status = None, "", 200
    if address.strip():
        try:
            behind = decode_cursor(cursor) if cursor else None
            found, following = await log_ins.log_ins(visit.desk, address=address, behind=behind, limit=_SHOWN)
        except ActionError as wrong:
            error, status = str(wrong), wrong.status
    return visit.page(
        "accounts/log_ins.html",
        status_code=status,
        address=address.strip(),
        found=found,
        next=encode_cursor(*following) if following else None,
        error=error,
    )


@router.post("/accounts/senders")
async def set_senders(visit: Visit = visiting(Right.ACCOUNTS), login: Login = "", senders: Senders = "") -> Response:
    """Say as whom an account may send."""
    try:
        await accounts.set_senders(visit.desk, login, senders.replace(",", " ").split())
    except ActionError as error:
        return await _one(visit, login, error=str(error), status_code=error.status)
    return _back(login, "senders")


@router.post("/accounts/password")
async def set_password(
    visit: Visit = visiting(Right.ACCOUNTS),
    login: Login = "",
    password: Password = "",
    elsewhere: Annotated[bool, Form()] = False,
) -> Response:
    """Give an account another password, and show it once if it was made here."""
    given, told = _password(password, elsewhere=elsewhere)
    try:
        await accounts.set_password(visit.desk, login, given)
    except ActionError as error:
        return await _one(visit, login, error=str(error), status_code=error.status)
    if told is None:
        return _back(login, "password")
    return visit.page("accounts/made.html", login=login, password=told, is_new=False)


@router.post("/accounts/disable")
async def disable(visit: Visit = visiting(Right.ACCOUNTS), login: Login = "") -> Response:
    """Keep an account from logging in."""
    await accounts.disable_account(visit.desk, login)
    return _back(login, "disabled")


@router.post("/accounts/enable")
async def enable(visit: Visit = visiting(Right.ACCOUNTS), login: Login = "") -> Response:
    """Let an account log in again."""
    await accounts.disable_account(visit.desk, login, disabled=False)
    return _back(login, "enabled")


@router.post("/accounts/remove")
async def remove(visit: Visit = visiting(Right.ACCOUNTS), login: Login = "") -> Response:
    """Remove an account."""
    await accounts.remove_account(visit.desk, login)
    return RedirectResponse("/accounts?note=removed", 303)


def _password(given: str, *, elsewhere: bool) -> tuple[str | None, str | None]:
    """Return the password, and what of it is shown."""
    if elsewhere:
        return None, None
    made = None if given else accounts.new_password()
    return given or made, made


def _add(visit: Visit, *, login: str = "", senders: str = "", error: str = "", status_code: int = 200) -> Response:
    return visit.page("accounts/add.html", status_code=status_code, login=login, senders=senders, error=error)


async def _one(visit: Visit, login: str, *, note: str = "", error: str = "", status_code: int = 200) -> Response:
    account = await accounts.show_account(visit.desk, login)
    found, _ = await log_ins.log_ins(visit.desk, login=account.login, limit=_SHOWN)
    return visit.page(
        "accounts/show.html", status_code=status_code, account=account, found=found, note=note, error=error
    )


def _back(login: str, note: str) -> Response:
    return RedirectResponse(f"/accounts/show?login={quote(login, safe='')}&note={note}", 303)
