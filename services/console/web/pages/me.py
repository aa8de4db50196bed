"""One's own log-in: what it is made of, and proving again who one is."""

from typing import Annotated

from fastapi import APIRouter, Body, Form, Path, Query, Response
from fastapi.responses import RedirectResponse

from services.console.actions.desk import ActionError, NotFound
from services.console.actions.own import change_password, end_browser, list_sessions
from services.console.actions.tokens import list_tokens
from services.console.identity.directory import read_user
from services.console.identity.passkeys import passkeys_of
from services.console.identity.recovery_codes import FEW
from services.console.identity.sessions import take_challenge
from services.console.identity.throttle import Throttled
from services.console.web.pages.login import (
    Answer,
    ask_session_for_key,
    browser_of,
    doorkeeper_of,
    go_on,
    passkey_answer,
)
from services.console.web.who import Visit, local_path, may_be_next, visiting

router = APIRouter()
Password = Annotated[str, Form(max_length=8192)]
# What the page says after something was done.
_NOTES = {
    "password": "The new password holds; your other browsers are logged out.",
    "app": "The authenticator app is your second factor now.",
    "app-removed": "The authenticator app is asked for no more.",
    "key": "The passkey is added.",
    "key-removed": "The passkey is removed.",
    "recovery": "That recovery code is used up. Set up a new app or passkey, and remove what is lost.",
    "session": "That browser is logged out.",
    "token-removed": "The token is removed.",
}


@router.get("/me")
async def show(visit: Visit = visiting(), note: str = "") -> Response:
    """Show it all."""
    user = visit.caller.user
    async with visit.desk.database.reading() as connection:
        shown = await read_user(connection, user)
        keys = await passkeys_of(connection, user)
    if shown is None:
        raise NotFound("there is no such user any more")
    return visit.page(
        "me/show.html",
        user=shown,
        keys=keys,
        few=FEW,
        sessions=await list_sessions(visit.desk, user),
        tokens=await list_tokens(visit.desk, user),
        note=_NOTES.get(note, ""),
    )


@router.get("/me/again")
async def again_form(visit: Visit = visiting(), next_: Annotated[str, Query(alias="next")] = "/me") -> Response:
    """Ask who it is, before something that must not be done by whoever finds a browser open."""
    return await _again(visit, next_)


@router.post("/me/again")
async def again(
    visit: Visit = visiting(),
    password: Password = "",
    next_: Annotated[str, Form(alias="next", max_length=2000)] = "/me",
) -> Response:
    """Take the password again."""
    request = visit.request
    try:
        entered = await doorkeeper_of(request).again(visit.session, password, await browser_of(request))
    except Throttled as error:
        wait = f"Too many failed. The next one is heard in {error.wait_s} seconds."
        return await _again(visit, next_, error=wait, status_code=429, wait_s=error.wait_s)
    if entered is None:
        # 422, not 401: it is known who asks.
        return await _again(visit, next_, error="The password is wrong.", status_code=422)
    return go_on(may_be_next(next_), entered)


@router.post("/me/again/passkey/begin")
async def begin_again_passkey(visit: Visit = visiting()) -> Response:
    """Ask for one of the user's keys."""
    return await ask_session_for_key(visit.request, visit.session, alone=True)


@router.post("/me/again/passkey")
async def again_passkey(
    answer: Answer, next_: Annotated[str, Body(alias="next")] = "/me", visit: Visit = visiting()
) -> Response:
    """Take a key's answer."""
    request, session = visit.request, visit.session
    challenge = await take_challenge(visit.desk.database, session.digest)
    browser = await browser_of(request)
    entered = await doorkeeper_of(request).by_key(answer, challenge, browser, user=session.caller.user, action="proof")
    return passkey_answer(entered, may_be_next(next_), refused=422)


@router.get("/me/password")
async def password_form(visit: Visit = visiting()) -> Response:
    """Ask for a new password."""
    visit.must_be_fresh()
    return visit.page("me/password.html", error="")


@router.post("/me/password")
async def set_password(
    visit: Visit = visiting(),
    password: Password = "",
    again_: Annotated[str, Form(alias="again", max_length=8192)] = "",
) -> Response:
    """Set a new password."""
    visit.must_be_fresh()
    try:
        if password != again_:
            raise ActionError("the two passwords differ")
        await change_password(visit.desk, visit.session, password)
    except ActionError as error:
        return visit.page("me/password.html", status_code=error.status, error=str(error))
    return RedirectResponse("/me?note=password", 303)


@router.post("/me/sessions/{session}/end")
async def end_one(session: Annotated[str, Path(max_length=64)], visit: Visit = visiting()) -> Response:
    """Log a browser out."""
    await end_browser(visit.desk, session)
    return RedirectResponse("/me?note=session", 303)


async def _again(visit: Visit, path: str, *, error: str = "", status_code: int = 200, wait_s: int = 0) -> Response:
    async with visit.desk.database.reading() as connection:
        keys = await passkeys_of(connection, visit.caller.user)
    page = visit.page("me/again.html", status_code=status_code, next=local_path(path), error=error, has_keys=bool(keys))
    if wait_s:
        page.headers["Retry-After"] = str(wait_s)
    return page
