"""The policy: what is in force, and making a document the one in force, for good or until somebody confirms it (I/O:
SQL, broker).

The stream is the truth, since the stages read it; SQL keeps the history. A new version is above all of both.
With `confirm_within_s` every stage goes back by itself at that time. Until then nothing else is applied: whoever made a
change from it would make it stay without having meant to. Confirming is the same text anew, without a time.
On failure: ActionError, PolicyError (a document that cannot be used).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotFound, NotUnderstood
from services.console.actions.lock_out import must_not_lock_out
from services.console.actions.policy_stream import note_published, read_stream
from services.console.answers.policy import Applied
from services.console.story.told import moment
from services.console.tables import policy_history
from services.console.versions import before_waiting, difference
from shared.broker.topology import Exchange, Key
from shared.policy import parse_policy
from shared.policy_entry import PolicyEntry, encode_policy, in_force

__all__ = [
    "CONFIRM_LEAST_S",
    "CONFIRM_MOST_S",
    "REASON_LIMIT",
    "Applied",
    "Now",
    "active_policy",
    "apply_policy",
    "confirm",
    "policy_now",
    "policy_version",
    "roll_back",
    "take_back",
]

# Clocks of hosts may differ by a little; and nobody should run for an hour on what nobody has confirmed.
CONFIRM_LEAST_S = 60
CONFIRM_MOST_S = 3600
REASON_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Now:
    """What holds now. waits: whether it goes back by itself. back_to: the version to which it would."""

    entry: PolicyEntry
    waits: bool = False
    back_to: PolicyEntry | None = None


async def active_policy(desk: Desk) -> PolicyEntry | None:
    """Return the entry in force, or None. Raises ActionError."""
    return in_force(await read_stream(desk.settings.broker), time.time())


async def policy_now(desk: Desk) -> Now | None:
    """Return the entry in force, and whether it waits for its confirmation. Raises ActionError."""
    entries, now = await read_stream(desk.settings.broker), time.time()
    held = in_force(entries, now)
    if held is None:
        return None
    waits = held.confirm_by is not None and not held.is_over(now)
    return Now(held, waits, in_force(before_waiting(entries), now) if waits else None)


async def policy_version(desk: Desk, version: int) -> PolicyEntry:
    """Return a version of the history. Raises NotFound."""
    async with desk.database.reading() as connection:
        row = (
            await connection.execute(select(policy_history).where(policy_history.c.version == version))
        ).one_or_none()
    if row is None:
        raise NotFound(f"there is no policy version {version} in the history")
    return PolicyEntry(row.version, row.author, row.reason, row.at, row.text, row.confirm_by)


async def apply_policy(
    desk: Desk, text: str, reason: str, *, based_on: int | None = None, confirm_within_s: int | None = None
) -> Applied:
    """Check a document and make it the policy in force. Raises PolicyError, ActionError.

    based_on: the version that it was made from, so that nobody else's change in between is undone. confirm_within_s:
    after so many seconds every stage goes back by itself, unless somebody confirms it.
    """
    return await _apply(desk, text, reason, "policy apply", based_on=based_on, confirm_within_s=confirm_within_s)


async def roll_back(
    desk: Desk, version: int, reason: str, *, based_on: int | None = None, confirm_within_s: int | None = None
) -> Applied:
    """Make the document of an earlier version the one in force, as a new version. Raises PolicyError, ActionError."""
    text = (await policy_version(desk, version)).text
    why = f"back to version {version}: {reason}"
    return await _apply(desk, text, why, "policy roll back", based_on=based_on, confirm_within_s=confirm_within_s)


async def confirm(desk: Desk, version: int) -> Applied:
    """Have a version that waits stay. Raises ActionError, where it has gone back as well."""
    entries, now = await read_stream(desk.settings.broker), time.time()
    waiting = _waiting(entries, version, now)
    entry = await _publish(desk, entries, waiting.text, f"version {version} is confirmed", now, action="policy confirm")
    return Applied(entry, "", is_new=True)


async def take_back(desk: Desk, version: int, reason: str = "") -> Applied:
    """Put the version before in the place of one that waits, at once. Raises ActionError."""
    entries, now = await read_stream(desk.settings.broker), time.time()
    waiting = _waiting(entries, version, now)
    back_to = in_force(before_waiting(entries), now)
    if back_to is None:
        raise ActionError(f"there is nothing before version {version} to go back to")
    why = f"version {version} is taken back{f': {reason}' if reason else ''}"
    entry = await _publish(desk, entries, back_to.text, why, now, action="policy take back")
    return Applied(entry, difference(waiting, entry), is_new=True)


async def _apply(
    desk: Desk, text: str, reason: str, action: str, *, based_on: int | None, confirm_within_s: int | None
) -> Applied:
    if confirm_within_s is not None and not CONFIRM_LEAST_S <= confirm_within_s <= CONFIRM_MOST_S:
        raise NotUnderstood(f"a version waits {CONFIRM_LEAST_S} to {CONFIRM_MOST_S} seconds for its confirmation")
    notes = await must_not_lock_out(desk, parse_policy(text))
    entries, now = await read_stream(desk.settings.broker), time.time()
    before = in_force(entries, now)
    if before is not None and before.confirm_by is not None and not before.is_over(now):
        raise ActionError(
            f"version {before.version} of {before.author} waits for its confirmation until "
            f"{moment(before.confirm_by)}: confirm it or take it back first"
        )
    if before is not None and before.text == text:
        return Applied(before, "", is_new=False, notes=notes)
    if based_on is not None and (before is None or before.version != based_on):
        raise ActionError(f"the policy has changed since version {based_on}, from which this was made: do it again")
    if confirm_within_s is not None and before is None:
        raise ActionError("a first policy cannot wait for a confirmation: there is nothing to go back to")
    entry = await _publish(desk, entries, text, reason, now, action=action, confirm_within_s=confirm_within_s)
    return Applied(entry, difference(before, entry), is_new=True, notes=notes)


def _waiting(entries: Sequence[PolicyEntry], version: int, now: float) -> PolicyEntry:
    """Return the version in force, which must be this one and wait. Raises ActionError."""
    held = in_force(entries, now)
    if held is not None and held.version == version:
        if held.confirm_by is None or held.is_over(now):
            raise ActionError(f"version {version} is in force for good: there is nothing to confirm or to take back")
        return held
    for entry in entries:
        if entry.version == version and entry.confirm_by is not None and entry.is_over(now):
            raise ActionError(
                f"nobody confirmed version {version} in time: it went back at {moment(entry.confirm_by)}. Roll back to "
                "it to apply it anew"
            )
    raise ActionError(f"version {version} is not in force")


async def _publish(
    desk: Desk,
    entries: Sequence[PolicyEntry],
    text: str,
    reason: str,
    now: float,
    *,
    action: str,
    confirm_within_s: int | None = None,
) -> PolicyEntry:
    """Write a new version into the history and on the stream; both or none. Raises ActionError."""
    async with desk.database.writing() as connection:
        await _catch_up(connection, entries)
        known = await connection.scalar(select(func.max(policy_history.c.version))) or 0
        version = 1 + max([known, *(entry.version for entry in entries)])
        confirm_by = None if confirm_within_s is None else now + confirm_within_s
        entry = PolicyEntry(version, desk.who, reason[:REASON_LIMIT], now, text, confirm_by)
        # The version is the key: of two who apply at once, one fails here and nothing of his is published.
        await connection.execute(insert(policy_history), [_row(entry)])
        waits = {} if confirm_within_s is None else {"confirm_within_s": confirm_within_s}
        await desk.note(connection, action, f"version {version}", reason=entry.reason, **waits)
        await desk.publish(
            Exchange.POLICY,
            Key.POLICY,
            encode_policy(entry),
            else_="the old policy stays in force",
            message_type="gatepost.policy.v1",
        )
        note_published(desk.settings.broker, version)
    return entry


async def _catch_up(connection: AsyncConnection, entries: Sequence[PolicyEntry]) -> None:
    """Write what only the stream has: its row was lost with its database, or between the broker's word and the disk."""
    known = set(await connection.scalars(select(policy_history.c.version)))
    missing = {entry.version: entry for entry in entries if entry.version not in known}
    if missing:
        await connection.execute(insert(policy_history), [_row(entry) for entry in missing.values()])


def _row(entry: PolicyEntry) -> dict[str, object]:
    return {
        "version": entry.version,
        "author": entry.author,
        "reason": entry.reason,
        "at": entry.at,
        "text": entry.text,
        "confirm_by": entry.confirm_by,
    }
