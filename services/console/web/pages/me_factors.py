"""One's own second factors: an authenticator app, passkeys, and the codes for when they are lost."""

from typing import Annotated

from fastapi import APIRouter, Body, Form, Path, Response
from fastapi.responses import JSONResponse, RedirectResponse
from markupsafe import Markup

from services.console.actions.desk import ActionError
from services.console.actions.own import (
    begin_app,
    begin_key,
    confirm_app,
    drop_key,
    finish_key,
    make_recovery_codes,
    remove_app,
)
from services.console.identity.passkeys import LABEL_LIMIT
from services.console.identity.recovery_codes import codes_left
from services.console.identity.totp import app_address, qr_code
from services.console.web.pages.login import Answer
from services.console.web.who import Visit, visiting

router = APIRouter()


@router.get("/me/totp")
async def app_form(visit: Visit = visiting()) -> Response:
    """Show the secret as a QR code, and ask for a code."""
    visit.must_be_fresh()
    return await _app(visit)


@router.post("/me/totp")
async def confirm(visit: Visit = visiting(), code: Annotated[str, Form(max_length=100)] = "") -> Response:
    """Take the first code: the app counts from then on."""
    visit.must_be_fresh("/me/totp")
    try:
        await confirm_app(visit.desk, visit.session, code, visit.now)
    except ActionError as error:
        return await _app(visit, error=str(error), status_code=error.status)
    return RedirectResponse("/me?note=app", 303) if await _left(visit) else await _new_codes(visit)


@router.post("/me/totp/remove")
async def remove(visit: Visit = visiting()) -> Response:
    """Do without the app."""
    visit.must_be_fresh("/me")
    await remove_app(visit.desk)
    return RedirectResponse("/me?note=app-removed", 303)


@router.get("/me/passkeys")
async def key_form(visit: Visit = visiting()) -> Response:
    """Ask for a passkey and its name."""
    visit.must_be_fresh()
    return visit.page("me/passkey.html", limit=LABEL_LIMIT)


@router.post("/me/passkeys/begin")
async def begin(visit: Visit = visiting()) -> Response:
    """Ask the browser to make a key."""
    visit.must_be_fresh("/me/passkeys")
    return Response((await begin_key(visit.desk, visit.session)).options, media_type="application/json")


@router.post("/me/passkeys")
async def finish(
    answer: Answer, label: Annotated[str, Body(max_length=LABEL_LIMIT)] = "", visit: Visit = visiting()
) -> Response:
    """Keep the key."""
    visit.must_be_fresh("/me/passkeys")
    try:
        await finish_key(visit.desk, visit.session, label, answer, visit.now)
    except ActionError as error:
        return JSONResponse({"error": str(error)}, error.status)
    return JSONResponse({"next": "/me?note=key" if await _left(visit) else "/me/recovery-codes"})


@router.post("/me/passkeys/{key}/remove")
async def remove_one(key: Annotated[str, Path(max_length=1400)], visit: Visit = visiting()) -> Response:
    """Remove a key."""
    visit.must_be_fresh("/me")
    await drop_key(visit.desk, key)
    return RedirectResponse("/me?note=key-removed", 303)


@router.get("/me/recovery-codes")
async def codes_form(visit: Visit = visiting()) -> Response:
    """Say what the codes are for, and offer new ones."""
    visit.must_be_fresh()
    return visit.page("me/recovery_codes.html", codes=None, left=await _left(visit))


@router.post("/me/recovery-codes")
async def make_codes(visit: Visit = visiting()) -> Response:
    """Make new ones, and show them once."""
    visit.must_be_fresh()
    return await _new_codes(visit)


async def _left(visit: Visit) -> int:
    async with visit.desk.database.reading() as connection:
        return await codes_left(connection, visit.caller.user)


async def _new_codes(visit: Visit) -> Response:
    codes = await make_recovery_codes(visit.desk)
    return visit.page("me/recovery_codes.html", codes=codes, left=len(codes))


async def _app(visit: Visit, *, error: str = "", status_code: int = 200) -> Response:
    secret = await begin_app(visit.desk, visit.session)
    address = app_address(secret, visit.caller.user, visit.desk.settings.hostname)
    # What stands in the picture is made by us alone: squares, and a title that the library escapes.
    picture = Markup(qr_code(address, "QR code for the authenticator app"))  # noqa: S704
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return visit.page("me/totp.html", status_code=status_code, qr=picture, secret=groups, error=error)
