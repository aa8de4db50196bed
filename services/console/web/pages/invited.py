"""Coming in by a link: the first administrator, and whoever was invited, set a password."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response
from fastapi.responses import RedirectResponse

from services.console.actions.accept import accept_first, accept_invitation, look_at_invitation
from services.console.actions.desk import ActionError, Desk, NotFound
from services.console.identity.rights import Caller, Role, Via
from services.console.web.render import render
from services.console.web.who import address_of, backstage_of, must_be_from_our_host

router = APIRouter()
Token = Annotated[str, Path(max_length=200)]
Password = Annotated[str, Form(max_length=8192)]


@router.get("/first/{token}")
async def first_form(request: Request, token: Token) -> Response:
    """Ask the first administrator for name and password. Looking does not use the link up."""
    await look_at_invitation(_desk(request, "first administrator"), token, first=True)
    return _form(request)


@router.post("/first/{token}")
async def first(
    request: Request,
    token: Token,
    name: Annotated[str, Form(max_length=400)] = "",
    password: Password = "",
    again: Password = "",
) -> Response:
    """Make the first administrator."""
    must_be_from_our_host(request)
    try:
        _same(password, again)
        await accept_first(_desk(request, "first administrator"), token, name, password)
    except NotFound:
        raise
    except ActionError as error:
        return _form(request, name=name, error=str(error), status_code=error.status)
    return RedirectResponse("/login?note=set", 303)


@router.get("/invited/{token}")
async def invited_form(request: Request, token: Token) -> Response:
    """Ask whoever was invited for a password. Looking does not use the link up."""
    invitation = await look_at_invitation(_desk(request, "invitation"), token, first=False)
    return _form(request, user=invitation.user)


@router.post("/invited/{token}")
async def invited(request: Request, token: Token, password: Password = "", again: Password = "") -> Response:
    """Set the password."""
    must_be_from_our_host(request)
    user = (await look_at_invitation(_desk(request, "invitation"), token, first=False)).user
    try:
        _same(password, again)
        await accept_invitation(_desk(request, user), token, password)
    except NotFound:
        raise
    except ActionError as error:
        return _form(request, user=user, error=str(error), status_code=error.status)
    return RedirectResponse("/login?note=set", 303)


def _same(password: str, again: str) -> None:
    if password != again:
        raise ActionError("the two passwords differ")


def _desk(request: Request, who: str) -> Desk:
    caller = Caller(who, Role.VIEWER, frozenset(), Via.BROWSER, address=address_of(request))
    return backstage_of(request).desk(caller)


def _form(request: Request, *, user: str = "", name: str = "", error: str = "", status_code: int = 200) -> Response:
    return render(request, "login/set.html", status_code=status_code, user=user, name=name, error=error)
