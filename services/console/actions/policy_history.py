"""The versions of the policy, and looking at a document before it is applied (I/O: SQL, broker).

On failure: ActionError. Without the broker the history is told all the same, but not which version is in force.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from services.console.actions.desk import ActionError, Desk
from services.console.actions.lock_out import lock_out
from services.console.actions.policies import Now, policy_now, policy_version
from services.console.answers.policy import Version
from services.console.lockout import PASSED_OVER
from services.console.policy_check import Wrong, look_at
from services.console.tables import policy_history
from services.console.versions import difference_of, standing
from shared.policy_entry import PolicyEntry

__all__ = ["Checked", "History", "Version", "check_policy", "compare", "history", "version_before"]


@dataclass(frozen=True, slots=True)
class History:
    """Versions, the newest first. now: what is in force. problem: why that is not known."""

    versions: tuple[Version, ...]
    now: Now | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a document would do. wrong: why it cannot be applied. diff: against the policy in force.

    based_on: the version in force, None where there is none. domains, listeners: how many it has.
    """

    wrong: tuple[Wrong, ...]
    notes: tuple[str, ...] = ()
    diff: str = ""
    based_on: int | None = None
    domains: int = 0
    listeners: int = 0


async def history(desk: Desk, limit: int, behind: int | None = None) -> History:
    """Return at most so many versions. behind: only those before this one."""
    now, problem, found = time.time(), None, None
    try:
        found = await policy_now(desk)
    except ActionError as error:
        problem = str(error)
    held = found.entry.version if found else None
    columns = policy_history.c
    query = select(columns.version, columns.author, columns.reason, columns.at, columns.confirm_by).order_by(
        columns.version.desc()
    )
    if behind is not None:
        query = query.where(columns.version < behind)
    async with desk.database.reading() as connection:
        rows = (await connection.execute(query.limit(limit))).all()
    following = await _following(desk, [row.version for row in rows if row.confirm_by is not None])
    versions = []
    for row in rows:
        pair = following.get(row.version)
        entry = pair[0] if pair else PolicyEntry(row.version, row.author, row.reason, row.at, "", row.confirm_by)
        became = standing(entry, pair[1] if pair else None, held, now)
        versions.append(Version(row.version, row.author, row.reason, row.at, row.confirm_by, became))
    return History(tuple(versions), found, problem)


async def compare(desk: Desk, old: int, new: int) -> str:
    """Return the unified diff of two versions. Raises ActionError."""
    before, after = await policy_version(desk, old), await policy_version(desk, new)
    return difference_of(before.text, after.text, f"version {old}", f"version {new}")


async def version_before(desk: Desk, version: int) -> int | None:
    """Return the version before one, None if it is the first."""
    earlier = select(policy_history.c.version).where(policy_history.c.version < version)
    async with desk.database.reading() as connection:
        found: int | None = await connection.scalar(earlier.order_by(policy_history.c.version.desc()).limit(1))
    return found


async def check_policy(desk: Desk, text: str, now: Now | None = None) -> Checked:
    """Return what a document would do, without doing it. now: the policy in force, where it is known already."""
    document = look_at(text)
    based_on = now.entry.version if now else None
    diff = difference_of(now.entry.text, text, f"version {now.entry.version}", "this document") if now else ""
    if document.policy is None:
        return Checked(document.wrong, (), diff, based_on)
    notes: tuple[str, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    if not desk.caller.address:
        notes = (PASSED_OVER,)
    elif proof := await lock_out(desk, document.policy):
        wrong = (Wrong(proof),)
    return Checked(
        wrong, notes, diff, based_on, domains=len(document.policy.domains), listeners=len(document.policy.listeners)
    )


async def _following(desk: Desk, versions: Sequence[int]) -> dict[int, tuple[PolicyEntry, PolicyEntry | None]]:
    """Return versions with their texts, and the one after each: few of them ever wait."""
    found: dict[int, tuple[PolicyEntry, PolicyEntry | None]] = {}
    async with desk.database.reading() as connection:
        for version in versions:
            asked = select(policy_history).where(policy_history.c.version >= version)
            rows = (await connection.execute(asked.order_by(policy_history.c.version).limit(2))).all()
            pair = [PolicyEntry(row.version, row.author, row.reason, row.at, row.text, row.confirm_by) for row in rows]
            found[version] = (pair[0], pair[1] if len(pair) > 1 else None)
    return found
