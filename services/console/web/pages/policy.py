"""The policy: the document to read and change, its history, confirming and taking back."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Query, Response
from fastapi.responses import RedirectResponse
from markupsafe import escape

from services.console.actions import policies, policy_history
from services.console.actions.desk import ActionError
from services.console.actions.policies import CONFIRM_LEAST_S, CONFIRM_MOST_S, REASON_LIMIT, Now
from services.console.actions.policy_history import Checked
from services.console.identity.rights import Right
from services.console.versions import difference_of
from services.console.web.api.policy import TEXT_LIMIT
from services.console.web.who import Visit, visiting
from shared.errors import SettingsError

router = APIRouter()
_ROWS = 50
_NOTES = {
    "applied": "The new version is in force at every stage.",
    "waits": "The new version is in force. Look whether all is well, then confirm it.",
    "same": "That document is in force already: nothing has changed.",
    "confirmed": "It is confirmed, and stays.",
    "taken-back": "It is taken back: the version before is in force again, as a new version.",
}
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Text = Annotated[str, Form(max_length=TEXT_LIMIT)]
Based = Annotated[int, Form(ge=0, le=2**31 - 1)]
Reason = Annotated[str, Form(max_length=REASON_LIMIT)]
Keep = Annotated[Literal["ask", "good"], Form()]
Minutes = Annotated[int, Form(ge=CONFIRM_LEAST_S // 60, le=CONFIRM_MOST_S // 60)]
MINUTES = 10


@router.get("/policy")
async def show(visit: Visit = visiting(Right.SEE), note: str = "") -> Response:
    """Show the document, to be changed by who may."""
    visit.desk.must_see_all("the policy")
    now = await policies.policy_now(visit.desk)
    return visit.page(
        "policy/show.html",
        held=now,
        text=escape(now.entry.text if now else ""),
        based_on=now.entry.version if now else 0,
        checked=None,
        note=_NOTES.get(note, ""),
    )


@router.post("/policy/check")
async def check(visit: Visit = visiting(Right.POLICY), text: Text = "") -> Response:
    """Say what is wrong with what is typed; a part of the page."""
    visit.desk.must_see_all("the policy")
    return visit.page("policy/checked.html", checked=await policy_history.check_policy(visit.desk, unix(text)))


@router.post("/policy/review")
async def review_text(visit: Visit = visiting(Right.POLICY), text: Text = "", based_on: Based = 0) -> Response:
    """Show what a document would change, and ask why."""
    visit.desk.must_see_all("the policy")
    return await review(visit, unix(text), based_on)


@router.post("/policy/apply")
async def apply(
    *,
    visit: Visit = visiting(Right.POLICY),
    text: Text = "",
    based_on: Based = 0,
    reason: Reason = "",
    keep: Keep = "ask",
    minutes: Minutes = MINUTES,
) -> Response:
    """Apply a document."""
    visit.desk.must_see_all("the policy")
    text, why = unix(text), reason.strip()
    if not why:
        return await review(visit, text, based_on, error="Say in a few words why: it stands in the history.")
    try:
        done = await policies.apply_policy(
            visit.desk, text, why, based_on=based_on or None, confirm_within_s=minutes * 60 if keep == "ask" else None
        )
    except (ActionError, SettingsError) as error:
        return await review(visit, text, based_on, error=str(error), reason=why)
    note = "same" if not done.is_new else "waits" if keep == "ask" else "applied"
    return RedirectResponse(f"/policy?note={note}", 303)


@router.post("/policy/confirm")
async def confirm(
    visit: Visit = visiting(Right.POLICY), version: Annotated[int, Form(ge=1, le=2**31 - 1)] = 1
) -> Response:
    """Have the version that waits stay."""
    visit.desk.must_see_all("the policy")
    await policies.confirm(visit.desk, version)
    return RedirectResponse("/policy?note=confirmed", 303)


@router.post("/policy/take-back")
async def take_back(
    visit: Visit = visiting(Right.POLICY), version: Annotated[int, Form(ge=1, le=2**31 - 1)] = 1
) -> Response:
    """Put the version before in the place of the one that waits."""
    visit.desk.must_see_all("the policy")
    await policies.take_back(visit.desk, version)
    return RedirectResponse("/policy?note=taken-back", 303)


@router.get("/policy/history")
async def show_history(
    visit: Visit = visiting(Right.SEE), cursor: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None
) -> Response:
    """List the versions, the newest first."""
    visit.desk.must_see_all("the policy")
    found = await policy_history.history(visit.desk, _ROWS + 1, cursor)
    shown = found.versions[:_ROWS]
    following = str(shown[-1].version) if len(found.versions) > _ROWS else None
    return visit.page("policy/history.html", versions=shown, problem=found.problem, next=following, held=found.now)


@router.get("/policy/compare")
async def compare(
    old: Annotated[int, Query(ge=1, le=2**31 - 1)],
    new: Annotated[int, Query(ge=1, le=2**31 - 1)],
    visit: Visit = visiting(Right.SEE),
) -> Response:
    """Show the difference of any two versions."""
    visit.desk.must_see_all("the policy")
    diff = await policy_history.compare(visit.desk, old, new)
    return visit.page("policy/compare.html", old=old, new=new, diff=diff, held=None)


@router.get("/policy/{version:int}")
async def show_version(version: Number, visit: Visit = visiting(Right.SEE)) -> Response:
    """Show a version, what it changed, and what going back to it would change."""
    return await _version(visit, version)


@router.post("/policy/{version:int}/rollback")
async def roll_back(
    version: Number,
    *,
    visit: Visit = visiting(Right.POLICY),
    based_on: Based = 0,
    reason: Reason = "",
    keep: Keep = "ask",
    minutes: Minutes = MINUTES,
) -> Response:
    """Make an earlier document the one in force, as a new version."""
    visit.desk.must_see_all("the policy")
    if not reason.strip():
        return await _version(visit, version, error="Say in a few words why: it stands in the history.")
    try:
        done = await policies.roll_back(
            visit.desk,
            version,
            reason.strip(),
            based_on=based_on or None,
            confirm_within_s=minutes * 60 if keep == "ask" else None,
        )
    except (ActionError, SettingsError) as error:
        return await _version(visit, version, error=str(error))
    note = "same" if not done.is_new else "waits" if keep == "ask" else "applied"
    return RedirectResponse(f"/policy?note={note}", 303)


async def review(
    visit: Visit, text: str, based_on: int, *, error: str = "", reason: str = "", back: str = "/policy"
) -> Response:
    """Show what a document would change, and ask why; or the document again, with what is wrong with it."""
    now = await policies.policy_now(visit.desk)
    checked = await policy_history.check_policy(visit.desk, text, now)
    said = error or _conflict(now, checked, based_on)
    # As it is, but for what HTML asks for: what stands in a field comes back, and must be the same document.
    context: dict[str, Any] = {"held": now, "text": escape(text), "based_on": based_on, "checked": checked, "note": ""}
    if checked.wrong:
        return visit.page("policy/show.html", status_code=422, **context)
    status = 409 if error or (said and now and now.waits) else 200
    return visit.page(
        "policy/review.html",
        status_code=status,
        error=said,
        reason=reason,
        minutes=MINUTES,
        most=CONFIRM_MOST_S // 60,
        back=back,
        **context,
    )


def unix(text: str) -> str:
    """Return the text of a form, in which browsers send CRLF, with the line ends of a document."""
    return text.replace("\r\n", "\n")


def _conflict(now: Now | None, checked: Checked, based_on: int) -> str:
    if now is not None and now.waits:
        return f"Version {now.entry.version} waits for its confirmation: confirm it or take it back first."
    if based_on and checked.based_on != based_on:
        return (
            f"The policy has changed since version {based_on}, from which this was made: the changes below would undo "
            "what was done since. Begin again from the version in force."
        )
    return ""


async def _version(visit: Visit, version: int, *, error: str = "") -> Response:
    visit.desk.must_see_all("the policy")
    entry = await policies.policy_version(visit.desk, version)
    before = await policy_history.version_before(visit.desk, version)
    now = await policies.policy_now(visit.desk)
    made = await policy_history.compare(visit.desk, before, version) if before else ""
    held = now.entry if now else None
    back = (
        difference_of(held.text, entry.text, f"version {held.version}, in force", f"version {version}") if held else ""
    )
    return visit.page(
        "policy/version.html",
        status_code=409 if error else 200,
        entry=entry,
        before=before,
        made=made,
        back=back,
        held=now,
        error=error,
        minutes=MINUTES,
        most=CONFIRM_MOST_S // 60,
    )
