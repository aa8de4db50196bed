"""Who asks, and whether they may (I/O: SQL through services/console/identity).

Owns: what an endpoint declares: in the API `desk: Desk = at_desk(Right…)` (a token), in pages `visit: Visit =
visiting(Right…)` (a session's cookie; a change must bring the session's CSRF token). Without, it is public.
The API takes tokens alone, never cookies, so no page of another site can speak to it in a user's name.
"""

import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Depends, Request, Response

from services.console.actions.desk import Desk
from services.console.identity.rights import Caller, Right
from services.console.identity.sessions import Session, Step, find_session
from services.console.identity.tokens import caller_of_token
from services.console.web.backstage import Backstage
from services.console.web.render import render

# The prefix binds the cookie to this host, to TLS and to the path /.
COOKIE = "__Host-gatepost"
# Of a browser in which its user was logged in before; it opens nothing.
KNOWN_COOKIE = "__Host-gatepost-known"
_KNOWN_S = 180 * 86_400
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD"})


class NotSignedIn(Exception):
    """Nobody, or nobody any more."""


class NotAllowed(Exception):
    """Somebody, but without the right."""


class NotFresh(Exception):
    """Somebody who must prove again who they are. path: where they go on then."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a page by a user who may see it."""

    request: Request
    session: Session
    desk: Desk
    now: float

    @property
    def caller(self) -> Caller:
        """Who acts."""
        return self.session.caller

    def must_be_fresh(self, path: str = "") -> None:
        """Raise NotFresh unless the user proved lately who they are. path: of the page to go on to, else this one."""
        if not self.session.is_fresh(self.now):
            raise NotFresh(path or self.request.url.path)

    def page(self, template: str, *, status_code: int = 200, **context: Any) -> Response:
        """Return a page, with what every page shows of its user."""
        return render(
            self.request,
            template,
            status_code=status_code,
            caller=self.session.caller,
            csrf=self.session.csrf,
            now=self.now,
            **context,
        )


def backstage_of(request: Request) -> Backstage:
    """Return what the application works with."""
    found = request.app.state.backstage
    assert isinstance(found, Backstage)
    return found


def address_of(request: Request) -> str:
    """Return the address that a request came from; empty on the console's own host without a socket."""
    return request.client.host if request.client else ""


class Needs:
    """A dependency that tells which rights it asks for, so that tests can go through all endpoints.

    rights: all of them are needed; none means: whoever is logged in.
    """

    def __init__(self, *rights: Right) -> None:
        self.rights = frozenset(rights)

    def check(self, caller: Caller) -> None:
        """Raise NotAllowed unless a caller has the rights."""
        for right in self.rights:
            if not caller.may(right):
                raise NotAllowed(f"the role {caller.role.value} may not {right.value}")


class NeedsToken(Needs):
    """Of the API: a token, or whoever is at the console's own host."""

    async def __call__(self, request: Request) -> AsyncIterator[Desk]:
        """Give the desk of who asks."""
        caller = await caller_by_token(request)
        if caller is None:
            raise NotSignedIn
        request.state.caller = caller
        self.check(caller)
        async with backstage_of(request).at_desk(caller) as desk:
            yield desk


class NeedsVisit(Needs):
    """Of pages: a session that is whole, and for what changes something its CSRF token."""

    async def __call__(self, request: Request) -> AsyncIterator[Visit]:
        """Give the visit of who asks."""
        session = await session_of(request)
        if session is None or session.step is not Step.WHOLE:
            raise NotSignedIn
        request.state.caller = session.caller
        try:
            await must_be_from_our_page(request, session)
            self.check(session.caller)
            backstage = backstage_of(request)
            async with backstage.at_desk(session.caller) as desk:
                yield Visit(request, session, desk, backstage.clock())
        finally:
            # The files of a form lie on disk until then.
            await request.close()


class NeedsFirstStep(Needs):
    """Of the second step of a log-in: a session whose password was right, and the CSRF token."""

    async def __call__(self, request: Request) -> Session:
        """Return the session of who asks."""
        session = await session_of(request)
        if session is None or session.step is not Step.PASSWORD:
            raise NotSignedIn
        await must_be_from_our_page(request, session)
        return session


def at_desk(*rights: Right) -> Any:
    """Return the default of an endpoint's parameter `desk`."""
    return Depends(NeedsToken(*rights))


def visiting(*rights: Right) -> Any:
    """Return the default of a page's parameter `visit`."""
    return Depends(NeedsVisit(*rights))


def at_first_step() -> Any:
    """Return the default of a parameter `session` of the log-in's second step."""
    return Depends(NeedsFirstStep())


async def caller_by_token(request: Request) -> Caller | None:
    """Return who asks the API, or None. The command on the console's own host is known without a token."""
    local: Caller | None = getattr(request.app.state, "local_caller", None)
    if local is not None:
        return local
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    backstage = backstage_of(request)
    return await caller_of_token(backstage.database, token.strip(), address_of(request), backstage.clock())


async def session_of(request: Request) -> Session | None:
    """Return the session of a request's cookie, at whatever step, or None."""
    value = request.cookies.get(COOKIE)
    if not value:
        return None
    backstage = backstage_of(request)
    return await find_session(backstage.database, value, backstage.clock(), address_of(request))


async def must_be_from_our_page(request: Request, session: Session) -> None:
    """Raise NotAllowed for a change that no page of this session asked for."""
    if request.method in _SAFE:
        return
    brought = request.headers.get(CSRF_HEADER)
    if brought is None and "form" in request.headers.get("Content-Type", ""):
        field = (await request.form()).get(CSRF_FIELD)
        brought = field if isinstance(field, str) else None
    if brought is None or not hmac.compare_digest(brought.encode("utf-8", "surrogatepass"), session.csrf.encode()):
        raise NotAllowed("the form is not of this session: reload the page and try again")


def must_be_from_our_host(request: Request) -> None:
    """Raise NotAllowed for what a page of another site sent before anybody is logged in.

    Browsers that speak Fetch Metadata were judged by services/console/web/headers.py; for older ones their Origin is
    (RFC 6454). It is null for our own forms, too, where the referrer policy is as ours.
    """
    if "Sec-Fetch-Site" in request.headers:
        return
    origin = request.headers.get("Origin")
    # RFC 6454 §6.1: scheme, `://`, host and port; compared as text, for what is no URL must be refused, too.
    if origin is not None and origin.lower().partition("://")[2] != request.headers.get("Host", "").lower():
        raise NotAllowed("this was asked for by another site")


def set_cookie(response: Response, value: str) -> None:
    """Give a browser its session; it ends with the browser."""
    response.set_cookie(COOKIE, value, path="/", secure=True, httponly=True, samesite="strict")


def set_known_cookie(response: Response, mark: str) -> None:
    """Let a browser be known at the next log-in."""
    response.set_cookie(KNOWN_COOKIE, mark, max_age=_KNOWN_S, path="/", secure=True, httponly=True, samesite="strict")


def forget_cookie(response: Response) -> None:
    """Take a browser's session away."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def local_path(path: str) -> str:
    """Return a path to go on to after the log-in, as it is; none of another host."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def may_be_next(path: str) -> str:
    """Return a path to go on to after the log-in, quoted for a link; none of another host."""
    return quote(local_path(path), safe="/")
