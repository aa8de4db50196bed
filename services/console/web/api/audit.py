"""The audit: who did what, when, from where."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.console.actions.audit_log import AuditEntry, AuditFilter, read_audit
from services.console.actions.desk import Desk
from services.console.identity.rights import Right
from services.console.web.cursor import LIMIT, Page, decode_cursor, encode_cursor
from services.console.web.who import at_desk

router = APIRouter(tags=["audit"])
Word = Annotated[str, Query(max_length=320)]
Moment = Annotated[float | None, Query(description="Unix seconds", ge=0, le=1e11)]


@router.get("/audit")
async def list_entries(
    desk: Desk = at_desk(Right.AUDIT),
    who: Word = "",
    action: Word = "",
    target: Word = "",
    address: Word = "",
    since: Moment = None,
    until: Moment = None,
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 100,
) -> Page[AuditEntry]:
    """List entries, the newest first: a part of who and target, the beginning of action and address."""
    wanted = AuditFilter(who, action, target, address, since, until)
    behind = decode_cursor(cursor) if cursor else None
    entries = await read_audit(desk, wanted, limit=limit + 1, behind=behind)
    shown = entries[:limit]
    return Page(shown, encode_cursor(shown[-1].at, shown[-1].id) if len(entries) > limit else None)
