"""Queues: what waits and why, next hops, suspensions, and orders about them; and whether a machine can be taken down.

An order is given in two steps that need no JavaScript: a page that says how many messages it concerns and asks for the
reason, and the order itself.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Response
from fastapi.responses import RedirectResponse

from services.console.actions import orders, waiting
from services.console.actions.desk import ActionError, NotUnderstood
from services.console.actions.drain import drains
from services.console.actions.status import glance
from services.console.actions.waiting import Filter
from services.console.identity.rights import Right
from services.console.management import ManagementError
from services.console.web.cursor import decode_cursor, encode_cursor
from services.console.web.who import Visit, visiting
from shared.order import WHY_LIMIT, OrderKind

router = APIRouter()
_ROWS = 50
_HOPS = 200
Name = Annotated[str, Query(max_length=320)]
Names = Annotated[list[Annotated[str, Query(max_length=320)]], Query(max_length=orders.TARGETS)]


@router.get("/queues")
async def show(
    visit: Visit = visiting(Right.SEE),
    domain: Name = "",
    reason: Name = "",
    ordered: OrderKind | None = None,
    count: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Show what waits by next hop, how the hops are, and what is suspended."""
    wanted = Filter(domain=domain.strip() or None, reason=reason.strip() or None, limit=_HOPS)
    error, found = "", []
    try:
        found = await waiting.destinations(visit.desk, wanted)
    except NotUnderstood as wrong:
        error = str(wrong)
    return visit.page(
        "queues/list.html",
        status_code=422 if error else 200,
        destinations=found,
        domain=domain,
        reason=reason,
        error=error,
        ordered=ordered,
        count=count,
        suspended=await orders.suspensions(visit.desk),
        **await _machinery(visit),
    )


@router.get("/queues/destination")
async def destination(
    visit: Visit = visiting(Right.SEE),
    hop: Name = "",
    waits_as: Annotated[str, Query(max_length=20)] = "",
    domain: Name = "",
    reason: Name = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show the messages that wait for a hop; without one, those that were not tried yet."""
    wanted = Filter(
        hop=hop.strip() or None,
        domain=domain.strip() or None,
        reason=reason.strip() or None,
        waits_as=waits_as.strip() or None,
        limit=_ROWS + 1,
        behind=decode_cursor(cursor) if cursor else None,
    )
    mail = await waiting.waiting_mail(visit.desk, wanted)
    shown = mail[:_ROWS]
    kept = {"hop": hop, "waits_as": waits_as, "domain": domain, "reason": reason}
    return visit.page(
        "queues/destination.html",
        mail=shown,
        hop=hop.strip(),
        waits_as=waits_as.strip(),
        domain=domain.strip(),
        reason=reason,
        seen=[one for one in await waiting.hop_states(visit.desk) if one.hop == hop] if visit.caller.sees_all else [],
        held=[one for one in await orders.suspensions(visit.desk) if str(one.target) == hop],
        query=urlencode({name: value for name, value in kept.items() if value}),
        next=encode_cursor(shown[-1].since, shown[-1].id) if len(mail) > _ROWS else None,
        kinds=list(OrderKind),
    )


@router.get("/queues/order")
async def ask(
    visit: Visit = visiting(Right.QUEUES),
    kind: OrderKind = OrderKind.RETRY,
    target: Names = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Say what an order would concern, and ask for its reason."""
    return await _asking(visit, kind, target, why="", to="", error="")


@router.post("/queues/order")
async def give(
    kind: Annotated[OrderKind, Form()],
    target: Annotated[list[Annotated[str, Form(max_length=320)]], Form(max_length=orders.TARGETS)],
    visit: Visit = visiting(Right.QUEUES),
    why: Annotated[str, Form(max_length=WHY_LIMIT)] = "",
    to: Annotated[str, Form(max_length=320)] = "",
) -> Response:
    """Give an order."""
    error = orders.missing_reason(kind, why)
    if not error:
        try:
            given = await orders.give(visit.desk, kind, target, why.strip(), to.strip())
        except ActionError as wrong:
            if wrong.status == 403:
                raise
            error = str(wrong)
        else:
            return RedirectResponse(f"/queues?ordered={kind.value}&count={len(given)}", 303)
    return await _asking(visit, kind, target, why, to, error)


@router.get("/drain")
async def drain(visit: Visit = visiting(Right.SEE)) -> Response:
    """Say of every machine whether it can be taken down now."""
    try:
        found, problem = await drains(visit.desk), ""
    except (ActionError, ManagementError) as error:
        if isinstance(error, ActionError) and error.status == 403:
            raise
        found, problem = [], str(error)
    return visit.page("queues/drain.html", drains=found, problem=problem)


async def _asking(visit: Visit, kind: OrderKind, targets: Sequence[str], why: str, to: str, error: str) -> Response:
    names = list(dict.fromkeys(name.strip() for name in targets if name.strip()))
    if not names:
        error = error or "Nothing is chosen: tick some mail, or name a domain, a next hop, an id or all."
    count = await orders.waiting_count(visit.desk, names) if names else 0
    return visit.page(
        "queues/order.html",
        status_code=422 if error else 200,
        kind=kind,
        targets=names,
        count=count,
        why=why,
        to=to,
        error=error,
        needs_reason=bool(orders.missing_reason(kind, "")),
        why_limit=WHY_LIMIT,
    )


async def _machinery(visit: Visit) -> dict[str, Any]:
    """Return what is of no domain: hops, the broker's queues, its console."""
    if not visit.caller.sees_all:
        return {"hops": [], "queues": (), "queues_problem": None, "console_url": "", "machinery": False}
    status, _ = await glance(visit.desk)
    settings = visit.desk.settings.management
    return {
        "hops": await waiting.hop_states(visit.desk),
        "queues": [one for one in status.queues if ".retry." not in one.queue or one.ready + one.unacked],
        "queues_problem": status.queues_problem,
        "console_url": settings.url if settings is not None and visit.caller.may(Right.QUEUES) else "",
        "machinery": True,
    }
