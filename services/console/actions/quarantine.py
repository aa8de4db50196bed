"""Looking at quarantined mail, releasing and deleting it (I/O: SQL, broker).

A release publishes the mail, then commits: a crash between the two leaves it held and delivers it, never the reverse.
What goes on, and whether it may, is decided in services/console/release.py.
On failure: ActionError; nothing is changed then.
"""

import contextlib
import time
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk
from services.console.held import HELD
from services.console.release import HeldCopy, Released, StillHeld, Wish, release_all
from services.console.tables import policy_history, quarantine
from shared.broker.topology import Exchange, Key, content_key
from shared.envelope import Envelope
from shared.event import EventKind, Facts
from shared.ids import parse_id
from shared.policy import PolicyError, parse_policy
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


async def release(desk: Desk, message_id: str, wish: Wish) -> list[Released]:
    """Let the held copies of an id go on, past the rules of the wish, and return what went. Raises ActionError."""
    async with desk.database.writing() as connection:
        copies = await _held_copies(connection, message_id, wish.part)
        held = [HeldCopy(_envelope(copy), copy.message, copy.reason) for copy in copies]
        versions = {one.envelope.verdict.policy_version for one in held if one.envelope.verdict}
        shown = await _showing_verdicts(connection, versions)
        try:
            # All before any: what stays held of them must not be found out after the others have gone.
            released = release_all(held, wish, time.time(), shown)
        except StillHeld as error:
            raise ActionError(str(error)) from None
        for copy, one in zip(copies, released, strict=True):
            await _send(desk, one, again=wish.again)
            await _mark(connection, copy, "released", copy.message)
            recipients = [recipient.address for recipient in one.envelope.recipients]
            facts: Facts = {"by": desk.who, "recipients": [*recipients], "rules": [*one.rules], "again": wish.again}
            await desk.tell(connection, copy.id, EventKind.RELEASED, facts)
            await desk.note(
                connection, "quarantine release", copy.id, part=copy.part, recipients=recipients, rules=one.rules,
                again=wish.again,
            )  # fmt: skip
    return released


async def _send(desk: Desk, released: Released, *, again: bool) -> None:
    envelope = released.envelope
    await desk.publish(
        Exchange.CONTENT if again else Exchange.DELIVERY,
        content_key(len(released.message)) if again else Key.DELIVERY,
        released.message,
        else_=f"{envelope.id} stays held",
        message_type=MAIL_TYPE,
        headers=mail_headers(envelope),
        message_id=envelope.id,
        content_type="message/rfc822",
    )


async def _showing_verdicts(connection: AsyncConnection, versions: set[int]) -> set[int]:
    """Return which policy versions want X-Gatepost-Verdict; one that is not in the history does not."""
    query = select(policy_history.c.version, policy_history.c.text).where(policy_history.c.version.in_(versions))
    shown = set()
    for row in await connection.execute(query):
        with contextlib.suppress(PolicyError):
            if parse_policy(row.text).verdict.header:
                shown.add(row.version)
    return shown


async def delete(desk: Desk, message_id: str, part: str | None = None) -> list[Held]:
    """Throw the held copies of an id away, keeping their rows without the messages. Raises ActionError."""
    async with desk.database.writing() as connection:
        copies = await _held_copies(connection, message_id, part)
        for copy in copies:
            await _mark(connection, copy, "deleted", b"")
            envelope = envelope_of(copy)
            recipients = [recipient.address for recipient in envelope.recipients] if envelope else []
            facts: Facts = {"by": desk.who, "recipients": [*recipients]}
            await desk.tell(connection, copy.id, EventKind.DELETED, facts)
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


def envelope_of(copy: Held) -> Envelope | None:
    """Return the envelope of a held mail, or None where it cannot be read."""
    try:
        return _envelope(copy)
    except ActionError:
        return None


def _envelope(copy: Held) -> Envelope:
    if copy.envelope is None:
        raise ActionError(
            f"{copy.id} has no readable envelope, so nobody knows whom it is for; save it with "
            f"`gatepost quarantine show --raw {copy.id}` and send it from there"
        )
    try:
        return read_envelope(copy.message_type, {ENVELOPE: copy.envelope})
    except WireError as error:
        raise ActionError(f"{copy.id}: {error}") from None


async def _mark(connection: AsyncConnection, copy: Held, state: str, message: bytes) -> None:
    this = (quarantine.c.id == copy.id) & (quarantine.c.part == copy.part)
    await connection.execute(update(quarantine).where(this).values(state=state, state_at=time.time(), message=message))
