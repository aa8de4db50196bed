"""The quarantine: finding held mail, looking at it without opening it, and deciding about it, alone or many at once."""

from dataclasses import asdict, dataclass
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.console.actions import quarantine, reading
from services.console.actions.allow_sender import may_allow, release_and_allow
from services.console.actions.desk import ActionError, NotUnderstood
from services.console.actions.learning import Class, learn
from services.console.actions.quarantine import Filter, Held
from services.console.actions.quarantine_bulk import LIMIT, Copy, Deed
from services.console.actions.trials import try_held
from services.console.digest.redeem import asked_for
from services.console.identity.rights import Right
from services.console.release import NO_RULE, Wish
from services.console.story.reasons import QUARANTINES
from services.console.web.bulk_runs import find_run, start_run
from services.console.web.cursor import encode_cursor
from services.console.web.mail_file import mail_file, place_of
from services.console.web.moments import read_moment
from services.console.web.turns import turns_of
from services.console.web.who import Visit, visiting
from shared.policy import PolicyError

router = APIRouter()
_ROWS = 50
_STATES = [("held", "held"), ("released", "released"), ("deleted", "deleted"), ("all", "all")]
_NOTES = {
    "released": "It is released and on its way.",
    "again": "It is judged again by today's policy; should that hold it, it is here again in a moment.",
    "allowed": "It is released, and its sender is let through from now on.",
    "deleted": "It is deleted.",
    "learned": "The antispam engine has learned it.",
}
Word = Annotated[str, Query(max_length=320)]
Time = Annotated[str, Query(max_length=30)]
Id = Annotated[str, Path(max_length=40)]
Part = Annotated[str, Path(max_length=16)]
Reason = Annotated[str, Form(max_length=300)]
Rules = Annotated[list[Annotated[str, Form(max_length=100)]], Form(max_length=50)]
Ticked = Annotated[list[Annotated[str, Form(max_length=60)]], Form(max_length=LIMIT)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form says."""

    state: Word = "held"
    why: Word = ""
    rule: Word = ""
    sender: Word = ""
    recipient: Word = ""
    subject: Word = ""
    since: Time = ""
    until: Time = ""

    @property
    def filter(self) -> Filter:
        """What is looked for. Raises NotUnderstood for a time or a state that is none."""
        if self.state not in dict(_STATES):
            raise NotUnderstood("a state is held, released, deleted or all")
        return Filter(
            None if self.state == "all" else self.state,
            self.why or None,
            self.sender.strip() or None,
            self.recipient.strip() or None,
            read_moment(self.since),
            _ROWS + 1,
            read_moment(self.until),
            self.subject.strip() or None,
            self.rule.strip() or None,
        )

    @property
    def query(self) -> str:
        """The form as it stands in a link."""
        return urlencode({name: value for name, value in asdict(self).items() if value})


@router.get("/quarantine")
async def show_all(
    wanted: Annotated[Wanted, Depends()],
    visit: Visit = visiting(Right.SEE),
    cursor: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    """List what is in quarantine."""
    found = await quarantine.list_held(visit.desk, wanted.filter, place_of(cursor))
    shown = found[:_ROWS]
    last = shown[-1] if len(found) > _ROWS else None
    return visit.page(
        "quarantine/list.html",
        copies=shown,
        wanted=wanted,
        states=_STATES,
        reasons=[("", "any"), *((reason, reason) for reason in QUARANTINES)],
        next=encode_cursor(last.received_at, f"{last.id}/{last.part}") if last else None,
        decides=visit.caller.may(Right.QUARANTINE),
        reads=visit.caller.may(Right.READ_MAIL),
    )


@router.post("/quarantine/bulk")
async def begin(
    visit: Visit = visiting(Right.QUARANTINE), deed: Annotated[str, Form(max_length=20)] = "",
    mail: Ticked = [], reason: Reason = "",  # noqa: B006
) -> Response:  # fmt: skip
    """Begin to do one thing to all that are ticked."""
    copies = [_named(one) for one in mail]
    run = start_run(visit.request, visit.desk, _deed(deed), copies, _plain(reason))
    return RedirectResponse(f"/quarantine/bulk/{run.id}", 303)


@router.get("/quarantine/bulk/{job}")
async def watch(job: Annotated[str, Path(max_length=40)], visit: Visit = visiting(Right.QUARANTINE)) -> Response:
    """Show how far a run is, what failed, and why."""
    return visit.page("quarantine/bulk.html", run=find_run(visit.request, visit.desk, job))


@router.get("/quarantine/bulk/{job}/state")
async def state(job: Annotated[str, Path(max_length=40)], visit: Visit = visiting(Right.QUARANTINE)) -> Response:
    """Show the part of that page that changes."""
    return visit.page("quarantine/run.html", run=find_run(visit.request, visit.desk, job))


@router.get("/quarantine/{message_id}/{part}")
async def show(message_id: Id, part: Part, visit: Visit = visiting(Right.SEE), note: str = "") -> Response:
    """Show a copy: why it is held and, to whoever may read mail, what is in it."""
    return await _one(visit, message_id, part, note=_NOTES.get(note, ""))


@router.get("/quarantine/{message_id}/{part}/raw")
async def raw(message_id: Id, part: Part, visit: Visit = visiting(Right.READ_MAIL)) -> Response:
    """Give the message as a file."""
    [copy] = await quarantine.find(visit.desk, message_id, part)
    return await mail_file(visit.desk, copy)


@router.post("/quarantine/{message_id}/{part}/judge")
async def judge(request: Request, message_id: Id, part: Part, visit: Visit = visiting(Right.READ_MAIL)) -> Response:
    """Show what content makes of a copy today; the copy stays as it is."""
    try:
        with turns_of(request).taken(visit.caller.user or visit.caller.name, visit.now):
            judged = await try_held(visit.desk, message_id, part)
    except ActionError as error:
        return await _failed(visit, message_id, part, error)
    [copy] = await quarantine.find(visit.desk, message_id, part)
    return visit.page("quarantine/judged.html", copy=copy, path=_path(copy), judged=judged)


@router.post("/quarantine/{message_id}/{part}/release")
async def release(
    message_id: Id, part: Part, visit: Visit = visiting(Right.QUARANTINE),
    how: Annotated[str, Form(max_length=20)] = "decided", rule: Rules = [],  # noqa: B006
    unexamined: Annotated[str, Form(max_length=5)] = "", reason: Reason = "",
) -> Response:  # fmt: skip
    """Let a copy go on: past what decided, past chosen rules, or to be judged again."""
    if how not in ("decided", "chosen", "again"):
        raise NotUnderstood("say how: decided, chosen or again")
    again = how == "again"
    rules = tuple(rule) if how == "chosen" else (NO_RULE,) if again else ()
    if how == "chosen" and not rules:
        return await _one(visit, message_id, part, error="Choose the rules that it is let past.", status_code=422)
    wish = Wish(visit.desk.who, rules, again=again, unexamined=bool(unexamined), part=part)
    try:
        await quarantine.release(visit.desk, message_id, wish, _plain(reason))
    except ActionError as error:
        return await _failed(visit, message_id, part, error)
    return _back(message_id, part, "again" if again else "released")


@router.post("/quarantine/{message_id}/{part}/allow")
async def allow(
    message_id: Id, part: Part, visit: Visit = visiting(Right.QUARANTINE, Right.LET_THROUGH), reason: Reason = ""
) -> Response:
    """Release a copy, and let its sender through from now on."""
    try:
        await release_and_allow(visit.desk, message_id, part, _plain(reason))
    except ActionError as error:
        return await _failed(visit, message_id, part, error)
    except PolicyError as error:
        return await _one(visit, message_id, part, error=str(error), status_code=422)
    return _back(message_id, part, "allowed")


@router.post("/quarantine/{message_id}/{part}/learn")
async def teach(
    message_id: Id, part: Part, visit: Visit = visiting(Right.QUARANTINE),
    kind: Annotated[str, Form(max_length=5)] = "", reason: Reason = "",
) -> Response:  # fmt: skip
    """Teach the antispam engine what a copy is."""
    if kind not in set(Class):
        raise NotUnderstood("say what it is: ham or spam")
    try:
        await learn(visit.desk, message_id, Class(kind), part, _plain(reason))
    except ActionError as error:
        return await _failed(visit, message_id, part, error)
    return _back(message_id, part, "learned")


@router.post("/quarantine/{message_id}/{part}/delete")
async def delete(
    message_id: Id, part: Part, visit: Visit = visiting(Right.QUARANTINE, Right.LET_THROUGH), reason: Reason = ""
) -> Response:
    """Delete a copy for good."""
    try:
        await quarantine.delete(visit.desk, message_id, part, _plain(reason))
    except ActionError as error:
        return await _failed(visit, message_id, part, error)
    return _back(message_id, part, "deleted")


async def _one(
    visit: Visit, message_id: str, part: str, *, note: str = "", error: str = "", status_code: int = 200
) -> Response:
    [copy] = await quarantine.find(visit.desk, message_id, part)
    reads = visit.caller.may(Right.READ_MAIL)
    unread = ""
    view = None
    try:
        view = await reading.read_mail(copy) if reads else None
    except ActionError as problem:
        unread = str(problem)
    return visit.page(
        "quarantine/show.html",
        status_code=status_code,
        copy=copy,
        path=_path(copy),
        account=reading.account_of(copy),
        asked=await asked_for(visit.desk, copy) if visit.caller.sees_all else [],
        view=view,
        unread=unread,
        reads=reads,
        decides=visit.caller.may(Right.QUARANTINE) and await _decides(visit, copy),
        allows=may_allow(visit.caller),
        note=note,
        error=error,
    )


async def _decides(visit: Visit, copy: Held) -> bool:
    """Whether the caller decides about a copy, whose other recipients may be hidden here."""
    try:
        await quarantine.find_to_decide(visit.desk, copy.id, copy.part)
    except ActionError:
        return False
    return True


async def _failed(visit: Visit, message_id: str, part: str, error: ActionError) -> Response:
    if error.status in (403, 404):
        raise error
    return await _one(visit, message_id, part, error=str(error), status_code=error.status)


def _path(copy: Held) -> str:
    return f"/quarantine/{quote(copy.id, safe='')}/{quote(copy.part, safe='')}"


def _back(message_id: str, part: str, note: str) -> Response:
    return RedirectResponse(f"/quarantine/{quote(message_id, safe='')}/{quote(part, safe='')}?note={note}", 303)


def _named(text: str) -> Copy:
    message_id, slash, part = text.rpartition("/")
    if not slash:
        raise NotUnderstood("a copy is named by its id and its part")
    return Copy(message_id, part)


def _deed(text: str) -> Deed:
    if text not in set(Deed):
        raise NotUnderstood("say what is to be done: release, delete, ham or spam")
    return Deed(text)


def _plain(reason: str) -> str:
    if not reason.isprintable():
        raise NotUnderstood("the reason has control characters")
    return reason.strip()
