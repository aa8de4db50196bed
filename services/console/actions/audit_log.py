"""Reading the audit (I/O: SQL). Nothing here or elsewhere changes a row of it or takes one away.

Owns: what it is searched by, and its order: the newest first.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, tuple_

from services.console.actions.desk import Desk
from services.console.answers.audit import AuditEntry
from services.console.tables import audit

__all__ = ["AuditEntry", "AuditFilter", "export_audit", "known_actions", "read_audit"]

_WHAT = "the audit"
_EXPORT_ROWS = 1000


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is looked for; empty or None: anything. who, target: a part of it. action, address: its beginning.

    exactly: action is all of its name.
    """

    who: str = ""
    action: str = ""
    target: str = ""
    address: str = ""
    since: float | None = None
    until: float | None = None
    exactly: bool = False


async def read_audit(
    desk: Desk, wanted: AuditFilter, *, limit: int, behind: tuple[float, str] | None = None
) -> list[AuditEntry]:
    """Return entries, the newest first. behind: time and id of the last that was shown."""
    desk.must_see_all(_WHAT)
    query = select(audit).where(*_conditions(wanted)).order_by(audit.c.at.desc(), audit.c.uid.desc()).limit(limit)
    if behind is not None:
        query = query.where(tuple_(audit.c.at, audit.c.uid) < tuple_(*behind))
    async with desk.database.reading() as connection:
        return [
            AuditEntry(row.uid, row.at, row.who, row.action, row.target, _details(row.details), row.address, row.via)
            for row in await connection.execute(query)
        ]


async def export_audit(desk: Desk, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
    """Yield all entries that are wanted, the newest first, some at a time."""
    behind: tuple[float, str] | None = None
    while True:
        entries = await read_audit(desk, wanted, limit=_EXPORT_ROWS, behind=behind)
        for entry in entries:
            yield entry
        if len(entries) < _EXPORT_ROWS:
            return
        behind = (entries[-1].at, entries[-1].id)


async def known_actions(desk: Desk) -> list[str]:
    """Return the actions that the audit knows of, by name."""
    desk.must_see_all(_WHAT)
    async with desk.database.reading() as connection:
        return list((await connection.execute(select(audit.c.action).distinct().order_by(audit.c.action))).scalars())


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.who:
        found.append(audit.c.who.icontains(wanted.who, autoescape=True))
    if wanted.action and wanted.exactly:
        found.append(audit.c.action == wanted.action)
    elif wanted.action:
        found.append(audit.c.action.startswith(wanted.action, autoescape=True))
    if wanted.target:
        found.append(audit.c.target.icontains(wanted.target, autoescape=True))
    if wanted.address:
        found.append(audit.c.address.startswith(wanted.address, autoescape=True))
    if wanted.since is not None:
        found.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        found.append(audit.c.at < wanted.until)
    return found


def _details(text: str) -> dict[str, object]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {"": found}
