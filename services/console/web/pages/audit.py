"""The audit: who did what, when, from where; to look through and to take away."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from services.console.actions.audit_log import AuditEntry, AuditFilter, export_audit, known_actions, read_audit
from services.console.export import csv_line, json_line
from services.console.identity.rights import Right
from services.console.web.cursor import decode_cursor, encode_cursor
from services.console.web.moments import read_moment
from services.console.web.render import iso
from services.console.web.who import Visit, visiting

router = APIRouter()
_ROWS = 50
_COLUMNS = ("time", "who", "via", "address", "action", "target", "details", "id")
Word = Annotated[str, Query(max_length=320)]
Time = Annotated[str, Query(max_length=30)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form says."""

    who: Word = ""
    action: Word = ""
    target: Word = ""
    address: Word = ""
    since: Time = ""
    until: Time = ""

    @property
    def filter(self) -> AuditFilter:
        """What is looked for. Raises NotUnderstood for a time that is none."""
        return AuditFilter(
            self.who.strip(),
            self.action.strip(),
            self.target.strip(),
            self.address.strip(),
            read_moment(self.since),
            read_moment(self.until),
            exactly=True,
        )

    @property
    def query(self) -> str:
        """The form as it stands in a link."""
        return urlencode({name: value for name, value in asdict(self).items() if value})


Form_ = Annotated[Wanted, Depends()]


@router.get("/audit")
async def show(
    wanted: Form_,
    visit: Visit = visiting(Right.AUDIT),
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show entries, the newest first."""
    behind = decode_cursor(cursor) if cursor else None
    entries = await read_audit(visit.desk, wanted.filter, limit=_ROWS + 1, behind=behind)
    shown = entries[:_ROWS]
    return visit.page(
        "audit/list.html",
        entries=shown,
        wanted=wanted,
        actions=await known_actions(visit.desk),
        next=encode_cursor(shown[-1].at, shown[-1].id) if len(entries) > _ROWS else None,
    )


@router.get("/audit/export.csv")
async def as_csv(wanted: Form_, visit: Visit = visiting(Right.AUDIT)) -> Response:
    """Give everything that is wanted as CSV."""

    async def lines() -> AsyncIterator[str]:
        yield csv_line(_COLUMNS)
        async for entry in export_audit(visit.desk, wanted.filter):
            yield csv_line(
                (
                    iso(entry.at),
                    entry.who,
                    entry.via,
                    entry.address,
                    entry.action,
                    entry.target,
                    entry.details,
                    entry.id,
                )
            )

    return _file(visit, wanted, lines(), "text/csv; charset=utf-8", "audit.csv")


@router.get("/audit/export.jsonl")
async def as_json_lines(wanted: Form_, visit: Visit = visiting(Right.AUDIT)) -> Response:
    """Give everything that is wanted as JSON, a line per entry."""

    async def lines() -> AsyncIterator[str]:
        async for entry in export_audit(visit.desk, wanted.filter):
            yield json_line(_as_row(entry))

    return _file(visit, wanted, lines(), "application/jsonl", "audit.jsonl")


def _as_row(entry: AuditEntry) -> dict[str, object]:
    return asdict(entry) | {"time": iso(entry.at)}


def _file(visit: Visit, wanted: Wanted, lines: AsyncIterator[str], kind: str, name: str) -> Response:
    # What would fail does so before the answer has begun.
    visit.desk.must_see_all("the audit")
    _ = wanted.filter
    return StreamingResponse(
        lines, media_type=kind, headers={"Content-Disposition": f'attachment; filename="gatepost-{name}"'}
    )
