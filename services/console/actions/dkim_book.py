"""The book of DKIM keys: as SQL has them, and as delivery reads them, whole, from a stream (I/O: SQL, broker).

Owns: the rows, and what of them is shown; a key's life is in dkim.py.
On failure: ActionError where the broker does not take the book; the transaction is then not to be ended well.
"""

import time

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import Desk
from services.console.answers.dkim import Listed
from services.console.tables import dkim_keys, key_books
from shared.broker.topology import Exchange, Key
from shared.dkim_keys import DkimKey, KeyAlgorithm, KeyBook, KeyState, encode_keys

__all__ = ["Listed", "listed", "publish_book", "retire_active"]


async def listed(connection: AsyncConnection, domain: str) -> list[Listed]:
    """Return the keys of a domain, or all where it is empty."""
    columns = dkim_keys.c
    chosen = select(dkim_keys).order_by(columns.domain, columns.made_at, columns.selector.desc())
    rows = await connection.execute(chosen.where(columns.domain == domain) if domain else chosen)
    return [
        Listed(
            row.domain,
            row.selector,
            row.algorithm,
            row.record,
            KeyState(row.state),
            row.made_at,
            row.state_at,
            row.keep_until,
        )
        for row in rows
    ]


async def retire_active(connection: AsyncConnection, domain: str, now: float, grace_s: float) -> None:
    """Let the keys of a domain sign no more. now: Unix seconds. grace_s: for how long they are kept."""
    await connection.execute(
        update(dkim_keys)
        .where(dkim_keys.c.domain == domain, dkim_keys.c.state == KeyState.ACTIVE.value)
        .values(state=KeyState.RETIRED.value, state_at=now, keep_until=now + grace_s)
    )


async def publish_book(desk: Desk, connection: AsyncConnection) -> None:
    """Send all keys, as the transaction has left them, to delivery. Raises ActionError."""
    known = await connection.scalar(select(func.max(key_books.c.version))) or 0
    # At least the time: a database that was made anew never sends a version that delivery takes for an old one.
    version = max(known + 1, int(time.time()))
    rows = await connection.execute(select(dkim_keys).order_by(dkim_keys.c.domain, dkim_keys.c.selector))
    keys = tuple(
        DkimKey(
            row.domain,
            row.selector,
            KeyAlgorithm(row.algorithm),
            row.private_key,
            KeyState(row.state),
            row.keep_until,
        )
        for row in rows
    )
    await connection.execute(insert(key_books), [{"version": version, "author": desk.who, "at": time.time()}])
    await desk.publish(
        Exchange.KEYS,
        Key.KEYS,
        encode_keys(KeyBook(version, keys)),
        else_="nothing is changed",
        message_type="gatepost.keys.v1",
    )
