"""What waits in delivery, next hops, suspensions, and orders about them."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.console.actions import orders, waiting
from services.console.actions.desk import Desk, NotUnderstood
from services.console.actions.waiting import Destination, Filter, HopSeen, WaitingMail
from services.console.answers.queues import Ordered, OrderShown, Waiting
from services.console.identity.rights import Right
from services.console.web.cursor import LIMIT, Page, decode_cursor, encode_cursor
from services.console.web.who import at_desk
from shared.order import WHY_LIMIT, Order, OrderKind

router = APIRouter(tags=["queues"])
Word = Annotated[str, Query(max_length=320)]


class NewOrder(BaseModel):
    """What is to be done. targets: ids, domains, next hops as the list shows them, or `all`. to: with reroute."""

    model_config = ConfigDict(extra="forbid")
    kind: OrderKind
    targets: list[Annotated[str, Field(min_length=1, max_length=320)]] = Field(min_length=1, max_length=orders.TARGETS)
    why: str = Field("", max_length=WHY_LIMIT)
    to: str = Field("", max_length=320)


@router.get("/queues")
async def list_destinations(
    desk: Desk = at_desk(Right.SEE),
    domain: Word = "",
    hop: Word = "",
    reason: Word = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 200,
) -> list[Destination]:
    """List what waits by next hop, the most first, with the most frequent reasons."""
    wanted = Filter(domain=domain or None, hop=hop or None, reason=reason or None, limit=limit)
    return await waiting.destinations(desk, wanted)


@router.get("/queues/mail")
async def list_waiting(
    desk: Desk = at_desk(Right.SEE),
    target: Word = "",
    domain: Word = "",
    hop: Word = "",
    reason: Word = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 100,
) -> Page[WaitingMail]:
    """List the messages that wait, the oldest first."""
    behind = decode_cursor(cursor) if cursor else None
    wanted = Filter(target or None, domain or None, hop or None, reason or None, limit + 1, behind=behind)
    mail = await waiting.waiting_mail(desk, wanted)
    shown = mail[:limit]
    return Page(shown, encode_cursor(shown[-1].since, shown[-1].id) if len(mail) > limit else None)


@router.get("/queues/orders/count")
async def count_concerned(
    target: Annotated[list[Annotated[str, Query(max_length=320)]], Query(min_length=1, max_length=orders.TARGETS)],
    desk: Desk = at_desk(Right.QUEUES),
) -> Waiting:
    """Count the messages that an order would concern."""
    return Waiting(waiting=await orders.waiting_count(desk, target))


@router.post("/queues/orders", status_code=201)
async def give_order(new: NewOrder, desk: Desk = at_desk(Right.QUEUES)) -> list[Ordered]:
    """Order something of waiting mail and of what is still to come; delivery follows when a message comes by next."""
    missing = orders.missing_reason(new.kind, new.why)
    if missing:
        raise NotUnderstood(missing)
    given = await orders.give(desk, new.kind, new.targets, new.why.strip(), new.to.strip())
    return [
        Ordered(
            order=_shown(one.order),
            waiting=one.waiting,
            state=one.state,
            held_by=_shown(one.held_by) if one.held_by is not None else None,
        )
        for one in given
    ]


@router.get("/hops")
async def list_hops(desk: Desk = at_desk(Right.SEE)) -> list[HopSeen]:
    """List how each process of delivery last saw the next hops, those in trouble first."""
    return await waiting.hop_states(desk)


@router.get("/suspensions")
async def list_suspensions(desk: Desk = at_desk(Right.SEE)) -> list[OrderShown]:
    """List the orders by which something is held back, the oldest first."""
    return [_shown(order) for order in await orders.suspensions(desk)]


def _shown(order: Order) -> OrderShown:
    return OrderShown(
        id=order.id, at=order.at, kind=order.kind, target=str(order.target), who=order.who, why=order.why, to=order.to
    )
