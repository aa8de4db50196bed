"""Looking at quarantined mail, releasing and deleting it (I/O: SQL, broker).

A release publishes the mail, then commits: a crash between the two leaves it held and delivers it, never the reverse.
What goes on, and whether it may, is decided in services/console/release.py; whose a copy is, in quarantine_bounds.py.
On failure: ActionError; nothing is changed then.
"""

import contextlib
import time
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Row, Select, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotFound, OutOfBounds
from services.console.actions.quarantine_bounds import as_seen, domain_marks, may_see, must_decide, names_rule
from services.console.answers.quarantine import Item
from services.console.held import HELD
from services.console.release import HeldCopy, Released, StillHeld, Wish, release_all
from services.console.rows import TEXT_LIMIT, clean
from services.console.tables import policy_history, quarantine
from shared.broker.topology import Exchange, Key, content_key
from shared.envelope import Envelope
from shared.event import EventKind, Facts
from shared.ids import parse_id
from shared.policy import PolicyError, parse_policy
from shared.wire import ENVELOPE, MAIL_TYPE, WireError, encode_envelope, mail_headers, read_envelope

_BATCH_ROWS = 500
# Behind what row a list goes on: when it was received, its id, its part.
Behind = tuple[float, str, str]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which mail a list shows; None takes all. since, until: Unix seconds. sender, recipient, subject: a part of it.

    rule: of the policy (`antispam.refuse_at`), or a check's name.
    """

    state: str | None = HELD
    reason: str | None = None
    sender: str | None = None
    recipient: str | None = None
    since: float | None = None
    limit: int = 50
    until: float | None = None
    subject: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Held(Item):
    """A quarantined mail. message: empty in lists, and once it is deleted."""

    message_type: str | None = None
    envelope: str | None = None
    headers: str = ""
    message: bytes = b""


_NOT_LISTED = frozenset({"headers", "message", "stored_at"})


async def list_held(desk: Desk, wanted: Filter, behind: Behind | None = None) -> list[Held]:
    """Return what is in quarantine, the newest first, without the messages themselves."""
    columns = quarantine.c
    query = (
        select(*(column for column in columns if column.name not in _NOT_LISTED))
        .where(*_conditions(desk, wanted))
        .order_by(columns.received_at.desc(), columns.id.desc(), columns.part.desc())
    )
    found: list[Held] = []
    async with desk.database.reading() as connection:
        while True:
            some = query if behind is None else query.where(_place() < tuple_(*behind))
            rows = (await connection.execute(some.limit(max(wanted.limit, _BATCH_ROWS)))).all()
            for row in rows:
                held = held_of_row(row)
                behind = (held.received_at, held.id, held.part)
                if _is_wanted(desk, wanted, held):
                    found.append(_as_seen(desk, held))
                if len(found) == wanted.limit:
                    return found
            if len(rows) < max(wanted.limit, _BATCH_ROWS):
                return found


def _place() -> ColumnElement[tuple[object, ...]]:
    return tuple_(quarantine.c.received_at, quarantine.c.id, quarantine.c.part)


def _conditions(desk: Desk, wanted: Filter) -> list[ColumnElement[bool]]:
    columns = quarantine.c
    wheres: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        wheres.append(columns.state == wanted.state)
    if wanted.reason is not None:
        wheres.append(columns.reason == wanted.reason)
    for column, part in (
        (columns.sender, wanted.sender),
        (columns.recipients, wanted.recipient),
        (columns.subject, wanted.subject),
    ):
        if part is not None:
            wheres.append(column.icontains(part, autoescape=True))
    if wanted.since is not None:
        wheres.append(columns.received_at >= wanted.since)
    if wanted.until is not None:
        wheres.append(columns.received_at < wanted.until)
    if wanted.rule is not None:
        wheres.append(
            or_(columns.check == wanted.rule, columns.envelope.icontains(f'{_last(wanted.rule)}"', autoescape=True))
        )
    if desk.caller.domains is not None:
        # Roughly; `_is_wanted` looks closely.
        marks = [columns.envelope.icontains(mark, autoescape=True) for mark in domain_marks(desk.caller.domains)]
        wheres.append(or_(columns.id.is_(None), *marks))
    return wheres


def _last(rule: str) -> str:
    return rule.rpartition(".")[2]


def _is_wanted(desk: Desk, wanted: Filter, held: Held) -> bool:
    if desk.caller.sees_all and wanted.rule is None:
        return True
    envelope = envelope_of(held)
    if not may_see(desk.caller, envelope):
        return False
    # What a part of a recipient's address finds must be one that the caller may know of.
    if not desk.caller.sees_all and envelope is not None and wanted.recipient is not None:
        known = ", ".join(one.address for one in as_seen(desk.caller, envelope).recipients)
        if wanted.recipient.lower() not in known.lower():
            return False
    return wanted.rule is None or names_rule(envelope, held.check, wanted.rule)


def _as_seen(desk: Desk, held: Held) -> Held:
    """Return a copy without the recipients that the caller may not know of."""
    envelope = None if desk.caller.sees_all else envelope_of(held)
    if envelope is None:
        return held
    seen = as_seen(desk.caller, envelope)
    if seen.recipients == envelope.recipients:
        return held
    known = ", ".join(one.address for one in seen.recipients)
    return replace(held, recipients=known, envelope=encode_envelope(seen), headers="")


async def find(desk: Desk, message_id: str, part: str | None = None) -> list[Held]:
    """Return the quarantined copies of an id that the caller sees, whole. Raises ActionError if there are none."""
    async with desk.database.reading() as connection:
        copies = await _copies(desk, connection, _of(message_id, part))
    return [_as_seen(desk, copy) for copy in copies]


async def find_to_decide(desk: Desk, message_id: str, part: str | None = None) -> list[Held]:
    """Return the copies of an id that the caller decides about. Raises ActionError, OutOfBounds if one is not."""
    async with desk.database.reading() as connection:
        copies = await _copies(desk, connection, _of(message_id, part))
    must_decide(desk.caller, message_id, map(envelope_of, copies))
    return copies


async def note_taken(desk: Desk, copy: Held) -> None:
    """Write into the audit that somebody takes the bytes of a copy away."""
    async with desk.database.writing() as connection:
        await desk.note(connection, "quarantine download", copy.id, part=copy.part, size_bytes=copy.size_bytes)


async def release(desk: Desk, message_id: str, wish: Wish, why: str = "", *, only: str | None = None) -> list[Released]:
    """Let the held copies of an id go on, past the rules of the wish, and return what went. Raises ActionError.

    why: as it stands in the audit. only: to this recipient alone; for the others it stays held.
    """
    async with desk.database.writing() as connection:
        copies = await _held_copies(desk, connection, message_id, wish.part)
        envelopes = [_envelope(copy) for copy in copies]
        leaving = [_leaving(copy, envelope, only) for copy, envelope in zip(copies, envelopes, strict=True)]
        must_decide(desk.caller, message_id, leaving)
        held = [HeldCopy(envelope, copy.message, copy.reason) for copy, envelope in zip(copies, leaving, strict=True)]
        versions = {one.envelope.verdict.policy_version for one in held if one.envelope.verdict}
        shown = await _showing_verdicts(connection, versions)
        try:
            # All before any: what stays held of them must not be found out after the others have gone.
            released = release_all(held, wish, time.time(), shown)
        except StillHeld as error:
            raise ActionError(str(error)) from None
        for copy, envelope, one in zip(copies, envelopes, released, strict=True):
            # Delivery may have delivered it before this is written, and what came later is where a message has got to.
            at = time.time()
            await _send(desk, one, again=wish.again)
            rest = _staying(envelope, only)
            if rest is None:
                await _mark(connection, copy, "released", copy.message)
            else:
                await _keep_for(connection, copy, rest)
            recipients = [recipient.address for recipient in one.envelope.recipients]
            facts: Facts = {"by": desk.who, "recipients": [*recipients], "rules": [*one.rules], "again": wish.again}
            await desk.tell(connection, copy.id, EventKind.RELEASED, facts, at=at)
            await desk.note(
                connection, "quarantine release", copy.id, part=copy.part, recipients=recipients, rules=one.rules,
                again=wish.again, reason=why,
            )  # fmt: skip
    return released


def _leaving(copy: Held, envelope: Envelope, only: str | None) -> Envelope:
    if only is None:
        return envelope
    one = tuple(recipient for recipient in envelope.recipients if recipient.address == only)
    if not one:
        raise ActionError(f"{copy.id} is not held for {only} any more")
    return envelope.with_recipients(one)


def _staying(envelope: Envelope, only: str | None) -> Envelope | None:
    """Return what stays held, or None if nothing does."""
    rest = tuple(recipient for recipient in envelope.recipients if only is not None and recipient.address != only)
    return envelope.with_recipients(rest) if rest else None


async def _keep_for(connection: AsyncConnection, copy: Held, rest: Envelope) -> None:
    values = {
        "envelope": encode_envelope(rest),
        "recipients": clean(", ".join(one.address for one in rest.recipients))[:TEXT_LIMIT],
    }
    await connection.execute(update(quarantine).where(_this(copy)).values(values))


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


async def delete(desk: Desk, message_id: str, part: str | None = None, why: str = "") -> list[Held]:
    """Throw the held copies of an id away, keeping their rows without the messages. Raises ActionError.

    why: as it stands in the audit.
    """
    async with desk.database.writing() as connection:
        copies = await _held_copies(desk, connection, message_id, part)
        must_decide(desk.caller, message_id, map(envelope_of, copies))
        for copy in copies:
            await _mark(connection, copy, "deleted", b"")
            envelope = envelope_of(copy)
            recipients = [recipient.address for recipient in envelope.recipients] if envelope else []
            facts: Facts = {"by": desk.who, "recipients": [*recipients]}
            await desk.tell(connection, copy.id, EventKind.DELETED, facts)
            await desk.note(connection, "quarantine delete", copy.id, part=copy.part, subject=copy.subject, reason=why)
    return copies


def _of(text: str, part: str | None) -> Select[tuple[object, ...]]:
    try:
        message_id = parse_id(text)
    except ValueError:  # what came without a readable envelope has a name of another form
        message_id = text.strip()
    query = select(quarantine).where(quarantine.c.id == message_id).order_by(quarantine.c.part)
    return query if part is None else query.where(quarantine.c.part == part)


async def _copies(desk: Desk, connection: AsyncConnection, query: Select[tuple[object, ...]]) -> list[Held]:
    copies = [held_of_row(row) for row in await connection.execute(query)]
    if not copies:
        raise NotFound("no such mail is in quarantine: `gatepost quarantine list --state all` shows what is")
    seen = [copy for copy in copies if desk.caller.sees_all or may_see(desk.caller, envelope_of(copy))]
    if not seen:
        raise OutOfBounds(f"{copies[0].id} is not of your domains")
    return seen


async def _held_copies(desk: Desk, connection: AsyncConnection, message_id: str, part: str | None) -> list[Held]:
    # Locked, so that two administrators do not release the same mail twice (SQLite locks the whole transaction).
    copies = await _copies(desk, connection, _of(message_id, part).with_for_update())
    held = [copy for copy in copies if copy.state == HELD]
    if not held:
        raise ActionError(f"{message_id} is not held any more: it was {copies[0].state} before")
    return held


def held_of_row(row: Row[tuple[object, ...]]) -> Held:
    """Return a row of the quarantine as it is shown."""
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
    values = {"state": state, "state_at": time.time(), "message": message}
    await connection.execute(update(quarantine).where(_this(copy)).values(values))


def _this(copy: Held) -> ColumnElement[bool]:
    return (quarantine.c.id == copy.id) & (quarantine.c.part == copy.part)
