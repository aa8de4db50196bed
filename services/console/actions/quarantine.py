"""Looking at quarantined mail, releasing and deleting it (I/O: SQL, broker).

A release publishes the mail, then commits: a crash between the two leaves it held and delivers it, never the reverse.
On failure: ActionError; nothing is changed then.
"""

import time
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk
from services.console.held import HELD
from services.console.rows import Summary, event_rows
from services.console.store import Store
from services.console.tables import quarantine
from shared.broker.topology import Exchange, Key
from shared.envelope import Envelope, Retry
from shared.event import Event, EventKind, Facts, Stage, encode_events
from shared.ids import new_id, parse_id
from shared.wire import ENVELOPE, MAIL_TYPE, WireError, mail_headers, read_envelope


@dataclass(frozen=True, slots=True)
class Filter:
    """Which mail a list shows; None takes all. since: Unix seconds. sender, recipient: a part of the text."""

    state: str | None = HELD
    reason: str | None = None
    sender: str | None = None
    recipient: str | None = None
    since: float | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Held:
    """A quarantined mail. message: empty in lists, and once it is deleted."""

    id: str
    part: str
    state: str
    reason: str
    check: str
    evidence: str
    sender: str | None
    recipients: str | None
    subject: str | None
    size_bytes: int
    received_at: float
    state_at: float
    message_type: str | None = None
    envelope: str | None = None
    headers: str = ""
    message: bytes = b""


_NOT_LISTED = frozenset({"headers", "message", "stored_at"})


async def list_held(desk: Desk, wanted: Filter) -> list[Held]:
    """Return what is in quarantine, the newest first, without the messages themselves."""
    columns = quarantine.c
    wheres: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        wheres.append(columns.state == wanted.state)
    if wanted.reason is not None:
        wheres.append(columns.reason == wanted.reason)
    if wanted.sender is not None:
        wheres.append(columns.sender.icontains(wanted.sender, autoescape=True))
    if wanted.recipient is not None:
        wheres.append(columns.recipients.icontains(wanted.recipient, autoescape=True))
    if wanted.since is not None:
        wheres.append(columns.received_at >= wanted.since)
    query = (
        select(*(column for column in columns if column.name not in _NOT_LISTED))
        .where(*wheres)
        .order_by(columns.received_at.desc())
    )
    async with desk.database.reading() as connection:
        return [_held(row) for row in await connection.execute(query.limit(wanted.limit))]


async def find(desk: Desk, message_id: str, part: str | None = None) -> list[Held]:
    """Return the quarantined copies of an id, whole. Raises ActionError if there are none."""
    async with desk.database.reading() as connection:
        return await _copies(connection, _of(message_id, part))


async def release(desk: Desk, message_id: str, part: str | None = None, *, unexamined: bool = False) -> list[Held]:
    """Hand the held copies of an id to delivery, and return them. Raises ActionError.

    unexamined: also those that content never came to a verdict on, for nothing has looked for malware in them.
    """
    async with desk.database.writing() as connection:
        copies = await _held_copies(connection, message_id, part)
        for copy in copies:
            envelope = _envelope_for_release(copy, unexamined=unexamined)
            await desk.publish(
                Exchange.DELIVERY,
                Key.DELIVERY,
                copy.message,
                else_=f"{envelope.id} stays held",
                message_type=MAIL_TYPE,
                headers=mail_headers(envelope),
                message_id=envelope.id,
                content_type="message/rfc822",
            )
            await _mark(connection, copy, "released", copy.message)
            recipients = [recipient.address for recipient in envelope.recipients]
            await _tell(desk, connection, copy.id, EventKind.RELEASED, {"by": desk.who, "recipients": [*recipients]})
            await desk.note(connection, "quarantine release", copy.id, part=copy.part, recipients=recipients)
    return copies


async def delete(desk: Desk, message_id: str, part: str | None = None) -> list[Held]:
    """Throw the held copies of an id away, keeping their rows without the messages. Raises ActionError."""
    async with desk.database.writing() as connection:
        copies = await _held_copies(connection, message_id, part)
        for copy in copies:
            await _mark(connection, copy, "deleted", b"")
            await _tell(desk, connection, copy.id, EventKind.DELETED, {"by": desk.who})
            await desk.note(connection, "quarantine delete", copy.id, part=copy.part, subject=copy.subject)
    return copies


def _of(text: str, part: str | None) -> Select[tuple[object, ...]]:
    try:
        message_id = parse_id(text)
    except ValueError:  # what came without a readable envelope has a name of another form
        message_id = text.strip()
    query = select(quarantine).where(quarantine.c.id == message_id).order_by(quarantine.c.part)
    return query if part is None else query.where(quarantine.c.part == part)


async def _copies(connection: AsyncConnection, query: Select[tuple[object, ...]]) -> list[Held]:
    copies = [_held(row) for row in await connection.execute(query)]
    if not copies:
        raise ActionError("no such mail is in quarantine: `gatepost quarantine list --state all` shows what is")
    return copies


async def _held_copies(connection: AsyncConnection, message_id: str, part: str | None) -> list[Held]:
    # Locked, so that two administrators do not release the same mail twice (SQLite locks the whole transaction).
    copies = await _copies(connection, _of(message_id, part).with_for_update())
    held = [copy for copy in copies if copy.state == HELD]
    if not held:
        raise ActionError(f"{message_id} is not held any more: it was {copies[0].state} before")
    return held


def _held(row: Row[tuple[object, ...]]) -> Held:
    values = row._asdict()
    values.pop("stored_at", None)
    return Held(**values)


def _envelope_for_release(copy: Held, *, unexamined: bool) -> Envelope:
    if copy.envelope is None:
        raise ActionError(
            f"{copy.id} has no readable envelope, so nobody knows whom it is for; save it with "
            f"`gatepost quarantine show --raw {copy.id}` and send it from there"
        )
    try:
        envelope = read_envelope(copy.message_type, {ENVELOPE: copy.envelope})
    except WireError as error:
        raise ActionError(f"{copy.id}: {error}") from None
    if envelope.verdict is None and not unexamined:
        raise ActionError(
            f"{copy.id} was never examined, not even for malware; to release it all the same: --unexamined"
        )
    # Delivery counts its patience from here: a mail that was held for a week would else be given up at the first 4xx.
    return replace(envelope, retry=Retry(), hop=None, size_bytes=len(copy.message), received_at=time.time())


async def _mark(connection: AsyncConnection, copy: Held, state: str, message: bytes) -> None:
    this = (quarantine.c.id == copy.id) & (quarantine.c.part == copy.part)
    await connection.execute(update(quarantine).where(this).values(state=state, state_at=time.time(), message=message))


async def _tell(desk: Desk, connection: AsyncConnection, message_id: str, kind: EventKind, facts: Facts) -> None:
    """Write our own event where the recorder would: in the same transaction, so that no trace misses it."""
    event = Event(new_id(), message_id, time.time(), Stage.CONSOLE, "", kind, facts)
    summaries: dict[str, Summary] = {}
    rows = event_rows(encode_events([event]), summaries)
    await Store(is_sqlite=desk.database.is_sqlite).write_events(connection, rows, summaries)
