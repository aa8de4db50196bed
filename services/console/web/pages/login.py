"""Logging in and out: name and password, then a code or a key where the user has one; or a passkey alone."""

from typing import Annotated

from fastapi import APIRouter, Body, Form, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from services.console.identity.login import Browser, Doorkeeper, Entered, find_user
from services.console.identity.passkeys import ask_for_key, passkeys_of
from services.console.identity.recovery_codes import codes_left
from services.console.identity.sessions import Session, Step, ask, open_begun, take_begun, take_challenge
from services.console.identity.throttle import Throttled
from services.console.web.render import render
from services.console.web.who import (
    COOKIE,
    KNOWN_COOKIE,
    Visit,
    address_of,
    at_first_step,
    backstage_of,
    forget_cookie,
    local_path,
    may_be_next,
    must_be_from_our_host,
    session_of,
    set_cookie,
    set_known_cookie,
    visiting,
)

router = APIRouter()
Name = Annotated[str, Form(max_length=400)]
Secret = Annotated[str, Form(max_length=8192)]
Next = Annotated[str, Form(alias="next", max_length=2000)]
Answer = Annotated[str, Body(max_length=40_000)]
_WRONG = "Name or password is wrong."
_WRONG_CODE = "The code is wrong, or was used before."
# Whoever comes in by a recovery code has lost something: their own page says what to do about it.
_AFTER_RECOVERY = "/me?note=recovery"
_NOTES = {"out": "You are logged out.", "set": "Your password is set: log in with it."}


@router.get("/login")
async def form(request: Request, next_: Annotated[str, Query(alias="next")] = "/", note: str = "") -> Response:
    """Show the form."""
    session = await session_of(request)
    if session is not None and session.step is Step.WHOLE:
        return RedirectResponse(may_be_next(next_), 303)
    return _form(request, next_, note=_NOTES.get(note, ""))


@router.post("/login")
async def by_password(request: Request, name: Name = "", password: Secret = "", next_: Next = "/") -> Response:
    """Take name and password."""
    must_be_from_our_host(request)
    try:
        entered = await doorkeeper_of(request).by_password(name, password, await browser_of(request))
    except Throttled as error:
        return _form(request, next_, error=_wait(error), status_code=429, wait_s=error.wait_s)
    if entered is None:
        return _form(request, next_, error=_WRONG, status_code=401)
    path = may_be_next(next_)
    if entered.step is Step.WHOLE:
        return go_on(path, entered)
    return go_on(f"/login/second?next={path}", entered)


@router.post("/login/passkey/begin")
async def begin_passkey(request: Request) -> Response:
    """Ask for a passkey, of whomever."""
    must_be_from_our_host(request)
    backstage = backstage_of(request)
    question = ask_for_key(backstage.settings, [], alone=True)
    browser = await browser_of(request)
    cookie = await open_begun(
        backstage.database,
        question.challenge,
        address=browser.address,
        agent=browser.agent,
        now=backstage.clock(),
    )
    if cookie is None:
        raise Throttled(60)
    response = Response(question.options, media_type="application/json")
    set_cookie(response, cookie)
    return response


@router.post("/login/passkey")
async def by_passkey(request: Request, answer: Answer, next_: Annotated[str, Body(alias="next")] = "/") -> Response:
    """Take a passkey's answer: it proves its owner without a password."""
    must_be_from_our_host(request)
    backstage = backstage_of(request)
    challenge = await take_begun(backstage.database, request.cookies.get(COOKIE, ""), backstage.clock())
    entered = await doorkeeper_of(request).by_key(answer, challenge, await browser_of(request))
    return passkey_answer(entered, may_be_next(next_))


@router.get("/login/second")
async def second_form(request: Request, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Ask for the second factor."""
    session = await session_of(request)
    if session is None or session.step is not Step.PASSWORD:
        return RedirectResponse("/login", 303)
    return await _second(request, session, next_)


@router.post("/login/second")
async def by_code(
    request: Request,
    code: Annotated[str, Form(max_length=100)] = "",
    next_: Next = "/",
    session: Session = at_first_step(),
) -> Response:
    """Take a code."""
    try:
        entered = await doorkeeper_of(request).by_code(session, code, await browser_of(request))
    except Throttled as error:
        return await _second(request, session, next_, error=_wait(error), status_code=429, wait_s=error.wait_s)
    if entered is None:
        return await _second(request, session, next_, error=_WRONG_CODE, status_code=401)
    return go_on(may_be_next(next_), entered)


@router.post("/login/second/recovery")
async def by_recovery_code(
    request: Request,
    recovery: Annotated[str, Form(max_length=100)] = "",
    next_: Next = "/",
    session: Session = at_first_step(),
) -> Response:
    """Take a recovery code."""
    try:
        entered = await doorkeeper_of(request).by_recovery_code(session, recovery, await browser_of(request))
    except Throttled as error:
        return await _second(request, session, next_, error=_wait(error), status_code=429, wait_s=error.wait_s)
    if entered is None:
        return await _second(request, session, next_, error=_WRONG_CODE, status_code=401)
    return go_on(_AFTER_RECOVERY, entered)


@router.post("/login/second/passkey/begin")
async def begin_second_passkey(
    request: Request,
    session: Session = at_first_step(),
) -> Response:
    """Ask for one of the user's keys."""
    return await ask_session_for_key(request, session, alone=False)


@router.post("/login/second/passkey")
async def by_second_passkey(
    request: Request,
    answer: Answer,
    next_: Annotated[str, Body(alias="next")] = "/",
    session: Session = at_first_step(),
) -> Response:
    """Take a key's answer."""
    challenge = await take_challenge(backstage_of(request).database, session.digest)
    browser = await browser_of(request)
    entered = await doorkeeper_of(request).by_key(answer, challenge, browser, user=session.caller.user)
    return passkey_answer(entered, may_be_next(next_))


@router.post("/logout")
async def leave(request: Request, visit: Visit = visiting()) -> Response:
    """End the session."""
    await doorkeeper_of(request).leave(visit.session, await browser_of(request))
    response = RedirectResponse("/login?note=out", 303)
    forget_cookie(response)
    return response


def doorkeeper_of(request: Request) -> Doorkeeper:
    """Return who decides on log-ins."""
    backstage = backstage_of(request)
    return Doorkeeper(backstage.settings, backstage.database, backstage.clock())


async def browser_of(request: Request) -> Browser:
    """Return what asks."""
    session = await session_of(request)
    agent = request.headers.get("User-Agent", "")
    digest = session.digest if session is not None else ""
    return Browser(address_of(request), agent, digest, request.cookies.get(KNOWN_COOKIE, ""))


async def ask_session_for_key(request: Request, session: Session, *, alone: bool) -> Response:
    """Ask a session's browser for one of its user's keys. alone: no password is given with it."""
    backstage = backstage_of(request)
    async with backstage.database.reading() as connection:
        known = await passkeys_of(connection, session.caller.user)
    question = ask_for_key(backstage.settings, known, alone=alone)
    await ask(backstage.database, session.digest, question.challenge)
    return Response(question.options, media_type="application/json")


def passkey_answer(entered: Entered | None, path: str, *, refused: int = 401) -> Response:
    """Return what the script of the page is told."""
    if entered is None:
        return JSONResponse({"error": "The key was not taken."}, refused)
    return _with_cookies(JSONResponse({"next": path}), entered)


def go_on(path: str, entered: Entered) -> Response:
    """Go to a page with the new session."""
    return _with_cookies(RedirectResponse(path, 303), entered)


def _with_cookies(response: Response, entered: Entered) -> Response:
    set_cookie(response, entered.cookie)
    if entered.mark:
        set_known_cookie(response, entered.mark)
    return response


def _wait(error: Throttled) -> str:
    return f"Too many log-ins failed. The next one is heard in {error.wait_s} seconds."


def _form(
    request: Request, path: str, *, error: str = "", note: str = "", status_code: int = 200, wait_s: int = 0
) -> Response:
    headers = {"Retry-After": str(wait_s)} if wait_s else None
    context = {"next": local_path(path), "error": error, "note": note}
    return render(request, "login/form.html", status_code=status_code, headers=headers, **context)


async def _second(
    request: Request, session: Session, path: str, *, error: str = "", status_code: int = 200, wait_s: int = 0
) -> Response:
    backstage = backstage_of(request)
    async with backstage.database.reading() as connection:
        keys = await passkeys_of(connection, session.caller.user)
        user = await find_user(connection, session.caller.user)
        codes = await codes_left(connection, session.caller.user)
    headers = {"Retry-After": str(wait_s)} if wait_s else None
    context = {
        "next": local_path(path),
        "error": error,
        "has_codes": bool(codes),
        "has_keys": bool(keys),
        "has_app": user is not None and user.totp_secret is not None,
        "csrf": session.csrf,
    }
    return render(request, "login/second.html", status_code=status_code, headers=headers, **context)
