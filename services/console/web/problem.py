"""Answers to what went wrong: problem+json for programs, a page for people.

Standards: RFC 9457 (problem details).
On failure: what nobody expected is a 500 with an id that stands in the log, and nothing of the cause.
"""

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from services.console.actions.desk import ActionError
from services.console.identity.throttle import Throttled
from services.console.management import ManagementError
from services.console.web.denied import note_denied, route_of
from services.console.web.described import PROBLEM_TYPE
from services.console.web.render import render
from services.console.web.turns import TooOften
from services.console.web.who import NotAllowed, NotFresh, NotSignedIn, may_be_next
from shared.errors import SettingsError
from shared.ids import new_id

_log = structlog.get_logger()
API = "/api/"
_TITLES = {
    400: "That cannot be done",
    401: "Who are you?",
    403: "Not allowed",
    404: "There is no such thing",
    405: "That is not how it is asked",
    409: "That cannot be done now",
    413: "Too much",
    422: "That is not understood",
    429: "Too often",
    500: "Something went wrong here",
    503: "Not now",
}


def answer_problems(app: FastAPI) -> None:
    """Give an application its handlers of what goes wrong."""

    @app.exception_handler(NotSignedIn)
    async def not_signed_in(request: Request, _error: NotSignedIn) -> Response:
        if not _wants_page(request):
            return problem(request, 401, "a token is needed: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"})
        if request.method != "GET" or request.headers.get("HX-Request"):
            return problem(request, 401, "your session is over: log in and do it again", {"HX-Redirect": "/login"})
        return RedirectResponse(f"/login?next={may_be_next(request.url.path)}", status_code=303)

    @app.exception_handler(NotAllowed)
    async def not_allowed(request: Request, error: NotAllowed) -> Response:
        await note_denied(request, str(error))
        return problem(request, 403, str(error))

    @app.exception_handler(NotFresh)
    async def not_fresh(_request: Request, error: NotFresh) -> Response:
        again = f"/me/again?next={may_be_next(error.path)}"
        return RedirectResponse(again, status_code=303, headers={"HX-Redirect": again})

    @app.exception_handler(ActionError)
    async def not_done(request: Request, error: ActionError) -> Response:
        if error.status == 403:
            await note_denied(request, str(error))
        waits = {"Retry-After": str(error.wait_s)} if isinstance(error, Throttled | TooOften) else None
        return problem(request, error.status, str(error), waits)

    @app.exception_handler(SettingsError)
    async def not_valid(request: Request, error: SettingsError) -> Response:
        return problem(request, 422, str(error))

    @app.exception_handler(ManagementError)
    async def broker_away(request: Request, error: ManagementError) -> Response:
        return problem(request, 503, str(error))

    @app.exception_handler(RequestValidationError)
    async def not_understood(request: Request, error: RequestValidationError) -> Response:
        wrong = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        return problem(request, 422, "; ".join(wrong)[:2000])

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return problem(request, error.status_code, str(error.detail or ""), dict(error.headers or {}))

    @app.exception_handler(SQLAlchemyError)
    async def database_away(request: Request, error: SQLAlchemyError) -> Response:
        # SQL:2016 class 22, data exception: PostgreSQL keeps no NUL, and no number beyond its columns.
        if str(getattr(getattr(error, "orig", None), "sqlstate", None) or "").startswith("22"):
            return problem(request, 422, "that holds a character or a number that cannot be kept")
        _log.error("database-refuses", path=route_of(request), cause=f"{type(error).__name__}")
        return problem(request, 503, "the database does not do it; the recorder's log says why")

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        case = new_id()
        _log.error("request-failed", id=case, path=route_of(request), cause=type(error).__name__, exc_info=error)
        return problem(request, 500, f"the log has it under {case}")


def problem(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to a request that went wrong, in the form that its asker reads."""
    title = _TITLES.get(status, "That did not work")
    if _wants_page(request):
        return render(
            request, "problem.html", status_code=status, headers=headers, title=title, detail=detail, status=status
        )
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type=PROBLEM_TYPE)


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith(API)
