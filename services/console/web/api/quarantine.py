"""Quarantined mail: finding, reading, releasing, teaching, deleting it, one by one and many at a time."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from services.console.actions import quarantine, reading
from services.console.actions.allow_sender import release_and_allow
from services.console.actions.desk import ActionError, Desk
from services.console.actions.learning import Class, learn
from services.console.actions.quarantine import Filter, Held
from services.console.actions.quarantine_bulk import LIMIT as BULK_LIMIT
from services.console.actions.quarantine_bulk import Copy, Deed, Failed
from services.console.actions.reading import account_of
from services.console.actions.trials import try_held
from services.console.answers.quarantine import Account, Gone, Item, Told
from services.console.answers.simulate import Judged
from services.console.identity.rights import Right
from services.console.mail_view.view import MailView
from services.console.release import Wish
from services.console.web.bulk_runs import Run, find_run, start_run
from services.console.web.cursor import LIMIT, Page, encode_cursor
from services.console.web.mail_file import MAIL_FILE_TYPE, mail_file, place_of
from services.console.web.turns import turns_of
from services.console.web.who import at_desk, backstage_of

router = APIRouter(tags=["quarantine"])
Word = Annotated[str, Query(max_length=320)]
Moment = Annotated[float | None, Query(description="Unix seconds", ge=0, le=1e11)]
Id = Annotated[str, Path(max_length=40)]
PartName = Annotated[str | None, Query(max_length=16, description="One copy of several; else all.")]
PartField = Annotated[str | None, Field(max_length=16, description="One copy of several; else all.")]
Reason = Annotated[str, Field(max_length=300, description="Why; it stands in the audit.")]


@dataclass(frozen=True, slots=True)
class Read:
    """A copy, why it is held, and what is in it: text, never opened. view: None once it is deleted."""

    item: Item
    account: Account
    view: MailView | None


@dataclass(frozen=True, slots=True)
class BulkState:
    """How far a run is."""

    id: str
    deed: Deed
    total: int
    done: int
    failed: list[Failed]
    is_over: bool
    problem: str


class Judge(BaseModel):
    """Which copy."""

    part: PartField = None


class Release(BaseModel):
    """rules: past these; none: past the one that decided. again: judged by today's policy first."""

    part: PartField = None
    rules: list[Annotated[str, Field(max_length=100)]] = Field([], max_length=50)
    again: bool = False
    unexamined: bool = False
    reason: Reason = ""


class Allow(BaseModel):
    """The copy is released, and its sender let through from now on."""

    part: str = Field(max_length=16)
    reason: str = Field(min_length=1, max_length=300)


class Learn(BaseModel):
    """What it is."""

    kind: Class
    part: PartField = None
    reason: Reason = ""


class Delete(BaseModel):
    """For good."""

    part: PartField = None
    reason: Reason = ""


class Named(BaseModel):
    """A copy."""

    id: str = Field(max_length=40)
    part: str = Field(max_length=16)


class Bulk(BaseModel):
    """One deed to many copies."""

    deed: Deed
    copies: list[Named] = Field(min_length=1, max_length=BULK_LIMIT)
    reason: str = Field(min_length=1, max_length=300)


@router.get("/quarantine")
async def list_copies(
    desk: Desk = at_desk(Right.SEE),
    state: Literal["held", "released", "deleted", "all"] = "held",
    reason: Word = "",
    rule: Word = "",
    sender: Word = "",
    recipient: Word = "",
    subject: Word = "",
    since: Moment = None,
    until: Moment = None,
    cursor: Annotated[str, Query(max_length=300)] = "",
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 50,
) -> Page[Item]:
    """List copies, the newest first: a part of sender, recipient and subject; a rule of the policy, or a check."""
    wanted = Filter(
        None if state == "all" else state,
        reason or None,
        sender or None,
        recipient or None,
        since,
        limit + 1,
        until,
        subject or None,
        rule or None,
    )
    found = await quarantine.list_held(desk, wanted, place_of(cursor))
    shown = [_item(one) for one in found[:limit]]
    last = shown[-1] if len(found) > limit else None
    return Page(shown, encode_cursor(last.received_at, f"{last.id}/{last.part}") if last else None)


@router.post("/quarantine/bulk", status_code=202)
async def begin_bulk(request: Request, bulk: Bulk, desk: Desk = at_desk(Right.QUARANTINE)) -> BulkState:
    """Begin to do one thing to many copies, and return how to ask how far it is."""
    copies = [Copy(one.id, one.part) for one in bulk.copies]
    return _state(start_run(request, desk, bulk.deed, copies, bulk.reason))


@router.get("/quarantine/bulk/{job}")
async def bulk_state(
    request: Request, job: Annotated[str, Path(max_length=40)], desk: Desk = at_desk(Right.QUARANTINE)
) -> BulkState:
    """Tell how far a run of the caller's is, and what failed, with why."""
    return _state(find_run(request, desk, job))


@router.get("/quarantine/{message_id}")
async def show(message_id: Id, part: PartName = None, desk: Desk = at_desk(Right.SEE)) -> list[Told]:
    """Tell of the copies of an id why they are held."""
    return [Told(_item(copy), account_of(copy)) for copy in await quarantine.find(desk, message_id, part)]


@router.get("/quarantine/{message_id}/text")
async def read(message_id: Id, part: PartName = None, desk: Desk = at_desk(Right.READ_MAIL)) -> list[Read]:
    """Read the copies of an id: header, parts, texts with links written out, attachments by name and digest."""
    copies = await quarantine.find(desk, message_id, part)
    return [Read(_item(copy), account_of(copy), await reading.read_mail(copy)) for copy in copies]


@router.get(
    "/quarantine/{message_id}/raw",
    response_class=Response,
    responses={200: {"content": {MAIL_FILE_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def raw(message_id: Id, part: PartName = None, desk: Desk = at_desk(Right.READ_MAIL)) -> Response:
    """Take the bytes of a copy away, as they are."""
    copies = await quarantine.find(desk, message_id, part)
    if len({copy.message for copy in copies}) > 1:
        raise ActionError("several copies differ: choose one by its part")
    return await mail_file(desk, copies[0])


@router.post("/quarantine/{message_id}/judge")
async def judge(request: Request, message_id: Id, wanted: Judge, desk: Desk = at_desk(Right.READ_MAIL)) -> Judged:
    """Say what content makes of a copy today; the copy stays as it is, and is delivered to nobody."""
    with turns_of(request).taken(desk.caller.user or desk.who, backstage_of(request).clock()):
        return await try_held(desk, message_id, wanted.part)


@router.post("/quarantine/{message_id}/release")
async def release(message_id: Id, wanted: Release, desk: Desk = at_desk(Right.QUARANTINE)) -> list[Gone]:
    """Let the held copies of an id go on; of several none goes if one may not."""
    wish = Wish(desk.who, tuple(wanted.rules), again=wanted.again, unexamined=wanted.unexamined, part=wanted.part)
    done = await quarantine.release(desk, message_id, wish, wanted.reason)
    return [Gone(one.envelope.id, [to.address for to in one.envelope.recipients], list(one.rules)) for one in done]


@router.post("/quarantine/{message_id}/allow")
async def allow(message_id: Id, wanted: Allow, desk: Desk = at_desk(Right.QUARANTINE, Right.LET_THROUGH)) -> list[Gone]:
    """Release a copy, and let its sender through to its recipients' domains from now on."""
    done = await release_and_allow(desk, message_id, wanted.part, wanted.reason)
    return [Gone(one.envelope.id, [to.address for to in one.envelope.recipients], list(one.rules)) for one in done]


@router.post("/quarantine/{message_id}/learn")
async def teach(message_id: Id, wanted: Learn, desk: Desk = at_desk(Right.QUARANTINE)) -> list[Item]:
    """Teach the antispam engine what the copies of an id are."""
    return [_item(one) for one in await learn(desk, message_id, wanted.kind, wanted.part, wanted.reason)]


@router.post("/quarantine/{message_id}/delete")
async def delete(message_id: Id, wanted: Delete, desk: Desk = at_desk(Right.QUARANTINE)) -> list[Item]:
    """Throw the held copies of an id away for good."""
    return [_item(one) for one in await quarantine.delete(desk, message_id, wanted.part, wanted.reason)]


def _item(one: Held) -> Item:
    return Item(**{name: getattr(one, name) for name in Item.__dataclass_fields__})


def _state(run: Run) -> BulkState:
    bulk = run.bulk
    return BulkState(
        run.id, bulk.deed, bulk.total, bulk.done, list(bulk.failed), run.errand.is_over, run.errand.problem
    )
