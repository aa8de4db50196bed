"""What links in reports of quarantine lead to: one message, a button, no log-in. GET changes nothing."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from services.console.actions.desk import ActionError, Desk
from services.console.digest.pace import Pace
from services.console.digest.redeem import offer, redeem, ticket_of
from services.console.digest.token import TOKEN_LIMIT, Ticket
from services.console.identity.rights import Caller, Role, Via
from services.console.web.render import render
from services.console.web.who import address_of, backstage_of, must_be_from_our_host
from shared.address import AddressError, parse_domain
from shared.policy import Policy

router = APIRouter()
Token = Annotated[str, Path(max_length=TOKEN_LIMIT)]
# Scanners open all links of a mail at once; nobody presses so many buttons.
_LOOKS = 200
_PRESSES = 30


class TooOften(ActionError):
    """Too many links from one address."""

    status = 429


class NotNow(ActionError):
    """The policy is not known yet."""

    status = 503


@router.get("/digest/{token}")
async def look(request: Request, token: Token) -> Response:
    """Show what a link is for."""
    _keep_pace(request, "look", _LOOKS)
    ticket = _ticket(request, token)
    found = await offer(_desk(request, ticket), ticket, _policy(request))
    return render(request, "digest/show.html", offer=found, done="")


@router.post("/digest/{token}")
async def press(request: Request, token: Token) -> Response:
    """Do what a link is for."""
    must_be_from_our_host(request)
    _keep_pace(request, "press", _PRESSES)
    ticket = _ticket(request, token)
    done = await redeem(_desk(request, ticket), ticket, _policy(request))
    return render(request, "digest/show.html", offer=None, done=done.value)


def _ticket(request: Request, token: str) -> Ticket:
    backstage = backstage_of(request)
    assert backstage.settings.web is not None
    return ticket_of(token, backstage.settings.web.secret.get_secret_value(), backstage.clock())


def _desk(request: Request, ticket: Ticket) -> Desk:
    """Return the desk of a recipient, who sees nothing but the domain of the address."""
    try:
        domains = frozenset({parse_domain(ticket.recipient.rpartition("@")[2])})
    except AddressError:
        domains = frozenset()
    return backstage_of(request).desk(
        Caller(ticket.recipient, Role.VIEWER, domains, Via.DIGEST, address=address_of(request))
    )


def _policy(request: Request) -> Policy:
    port = backstage_of(request).policy
    try:
        if port is not None:
            return port.policy
    except LookupError:
        pass
    raise NotNow("the gateway has just started: try again in a minute")


def _keep_pace(request: Request, kind: str, limit: int) -> None:
    paces: dict[str, Pace] | None = getattr(request.app.state, "digest_paces", None)
    if paces is None:
        paces = request.app.state.digest_paces = {}
    if not paces.setdefault(kind, Pace(limit)).admits(address_of(request), backstage_of(request).clock()):
        raise TooOften("too many links in a short time: wait a minute")
