"""Orders about waiting mail and next hops: given to delivery over the stream, kept in SQL (I/O: SQL, broker).

An order is written, published and committed in one transaction; a crash after the publish gives an order without its
row, which delivery follows all the same, and tells of.
Whom domains bound orders of these domains' mail alone: a hop, and all mail, are none of theirs.
On failure: ActionError, naming what was ordered before and what was not; OutOfBounds before anything is ordered.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import ColumnElement, false, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotUnderstood, OutOfBounds
from services.console.actions.waiting import concerned_by
from services.console.rows import TEXT_LIMIT
from services.console.tables import messages, orders
from shared.broker.topology import Exchange, Key
from shared.ids import new_id
from shared.order import By, Order, OrderError, OrderKind, Target, decode_order, encode_order, parse_target, parse_to
from shared.suspensions import LIMIT, Suspensions

ORDER_TYPE = "gatepost.order.v1"
# Of one message: the parts of its parts, whose envelopes name the part and no more.
_DESCENDANTS = 200
_GENERATIONS = 10
# Of one request.
TARGETS = 200


@dataclass(frozen=True, slots=True)
class Given:
    """An order that delivery follows. waiting: how many messages it concerns, as far as the trace knows.

    state: of the message that was named by its id, None where the trace does not know it. held_by: what still holds
    back the target of a resumption.
    """

    order: Order
    waiting: int
    state: str | None = None
    held_by: Order | None = None


async def give(desk: Desk, kind: OrderKind, names: Sequence[str], why: str, to: str = "") -> list[Given]:
    """Order something of each target and return what was ordered. Raises ActionError; all is checked before any."""
    try:
        targets = [parse_target(name) for name in dict.fromkeys(names)]
        route = parse_to(to) if to else ""
        for target in targets:
            Order("", 0.0, kind, target, desk.who, why, route)
    except ValueError as error:
        raise NotUnderstood(str(error)) from None
    await _must_be_theirs(desk, targets)
    given: list[Given] = []
    for target in targets:
        try:
            given.append(await _give(desk, kind, target, why, route))
        except ActionError as error:
            before = f" (ordered before: {', '.join(str(one.order.target) for one in given)})" if given else ""
            raise ActionError(f"{target}: {error}{before}") from None
    return given


async def waiting_count(desk: Desk, names: Sequence[str]) -> int:
    """Return how many waiting messages targets concern together, as far as the trace knows. Raises ActionError."""
    try:
        targets = [parse_target(name) for name in names]
    except OrderError as error:
        raise NotUnderstood(str(error)) from None
    await _must_be_theirs(desk, targets)
    async with desk.database.reading() as connection:
        # A message that two targets concern counts once.
        return await _count(connection, or_(false(), *map(concerned_by, targets)))


async def suspensions(desk: Desk) -> list[Order]:
    """Return the orders by which something is suspended, the oldest first; of the caller's domains."""
    async with desk.database.reading() as connection:
        found = (await _suspensions(connection)).all()
    if desk.caller.sees_all:
        return found
    return [one for one in found if one.target.by is By.DOMAIN and desk.caller.covers(one.target.name)]


def missing_reason(kind: OrderKind, why: str) -> str:
    """Return what to say where an order lacks the reason that it needs, or nothing (PURE)."""
    if kind in (OrderKind.RETRY, OrderKind.RESUME) or why.strip():
        return ""
    return "Say why: whoever looks into it later needs to know."


async def _must_be_theirs(desk: Desk, targets: Sequence[Target]) -> None:
    """Raise OutOfBounds unless the caller's domains cover all that targets concern."""
    if desk.caller.sees_all:
        return
    for target in targets:
        match target.by:
            case By.DOMAIN:
                desk.must_cover(target.name)
            case By.HOP | By.ALL:
                desk.must_see_all(str(target))
            case By.MESSAGE:
                await _must_be_all_theirs(desk, target.name)
            case other:
                assert_never(other)


async def _must_be_all_theirs(desk: Desk, message_id: str) -> None:
    query = select(messages.c.recipients).where(messages.c.id == message_id)
    async with desk.database.reading() as connection:
        recipients = await connection.scalar(query)
    # What the trace does not know yet may be anybody's; and of a list that was cut off, the rest may be.
    if not recipients or len(recipients) >= TEXT_LIMIT:
        raise OutOfBounds(f"{message_id} is not known to go to your domains alone")
    desk.must_cover(*recipients.split(", "))


async def _give(desk: Desk, kind: OrderKind, target: Target, why: str, to: str) -> Given:
    order = Order(new_id(), time.time(), kind, target, desk.who, why, to)
    async with desk.database.writing() as connection:
        waiting = await _count(connection, concerned_by(target))
        held_by = await _still_held(connection, order) if kind is OrderKind.RESUME else None
        state = await _state(connection, target)
        await _order(desk, connection, order)
        for part in await _parts_of_parts(connection, target):
            await _order(desk, connection, Order(new_id(), order.at, kind, part, desk.who, why, to))
    return Given(order, waiting, state, held_by)


async def _order(desk: Desk, connection: AsyncConnection, order: Order) -> None:
    body = encode_order(order)
    row = {
        "id": order.id,
        "at": order.at,
        "who": order.who,
        "kind": order.kind.value,
        "target": str(order.target),
        "body": body.decode(),
    }
    await connection.execute(insert(orders), [row])
    details = {"reason": order.why, "order": order.id} | ({"to": order.to} if order.to else {})
    await desk.note(connection, f"queue {order.kind.value}", str(order.target), **details)
    await desk.publish(
        Exchange.ORDERS, Key.ORDERS, body, else_="it is not ordered", message_type=ORDER_TYPE, message_id=order.id
    )


async def _count(connection: AsyncConnection, where: ColumnElement[bool]) -> int:
    return int(await connection.scalar(select(func.count()).select_from(messages).where(where)) or 0)


async def _state(connection: AsyncConnection, target: Target) -> str | None:
    if target.by is not By.MESSAGE:
        return None
    state: str | None = await connection.scalar(select(messages.c.state).where(messages.c.id == target.name))
    return state


async def _parts_of_parts(connection: AsyncConnection, target: Target) -> list[Target]:
    """Return the waiting messages that were split off parts of a message: they know their part by name, no more."""
    if target.by is not By.MESSAGE:
        return []
    young = [target.name]
    found: list[str] = []
    for generation in range(_GENERATIONS):
        # A part has recipients from the start; a report about the message has none.
        query = select(messages.c.id).where(messages.c.parent.in_(young), messages.c.recipients.is_not(None))
        young = list(await connection.scalars(query.order_by(messages.c.id).limit(_DESCENDANTS)))
        if not young:
            break
        found += young if generation else []
    return [Target(By.MESSAGE, name) for name in dict.fromkeys(found[:_DESCENDANTS]) if name != target.name]


async def _suspensions(connection: AsyncConnection) -> Suspensions:
    kinds = [kind.value for kind in OrderKind if kind.stands]
    query = select(orders.c.body).where(orders.c.kind.in_(kinds)).order_by(orders.c.at.desc(), orders.c.id.desc())
    made = Suspensions()
    for body in reversed(list(await connection.scalars(query.limit(LIMIT)))):
        made.take(decode_order(body.encode()))
    return made


async def _still_held(connection: AsyncConnection, resume: Order) -> Order | None:
    """Return what holds the target back even when it is resumed: that all is suspended."""
    known = await _suspensions(connection)
    known.take(resume)
    return known.of([resume.target, Target(By.ALL)])
