"""The policy: what is in force, its versions, checking and applying a document, confirming and taking back."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.console.actions import policies, policy_history
from services.console.actions.desk import Desk, NotFound
from services.console.actions.policies import CONFIRM_LEAST_S, CONFIRM_MOST_S, REASON_LIMIT, Applied, Now
from services.console.actions.policy_history import Checked
from services.console.answers.policy import Diff, Versions
from services.console.identity.rights import Right
from services.console.web.cursor import LIMIT
from services.console.web.who import at_desk
from shared.policy_entry import PolicyEntry

router = APIRouter(tags=["policy"])
TEXT_LIMIT = 1_500_000
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Text = Annotated[str, Field(max_length=TEXT_LIMIT)]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_LIMIT)]
Based = Annotated[int | None, Field(ge=1, le=2**31 - 1)]
Within = Annotated[int | None, Field(ge=CONFIRM_LEAST_S, le=CONFIRM_MOST_S)]


class Why(BaseModel):
    """Why, and how. based_on: the version that whoever asks has seen; another one in force meanwhile is a conflict.

    confirm_within_s: every stage goes back by itself then, unless it is confirmed; null for a change that stays.
    """

    model_config = ConfigDict(extra="forbid")
    reason: Reason
    based_on: Based = None
    confirm_within_s: Within = None


class NewPolicy(Why):
    """A document to be applied."""

    text: Text


class Draft(BaseModel):
    """A document to look at."""

    model_config = ConfigDict(extra="forbid")
    text: Text


class Which(BaseModel):
    """A version that waits."""

    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=1, le=2**31 - 1)
    reason: str = Field("", max_length=REASON_LIMIT)


@router.get("/policy")
async def show(desk: Desk = at_desk(Right.SEE)) -> Now:
    """Show the policy in force, and whether it waits for its confirmation."""
    desk.must_see_all("the policy")
    now = await policies.policy_now(desk)
    if now is None:
        raise NotFound("no policy is in force")
    return now


@router.post("/policy")
async def apply(new: NewPolicy, desk: Desk = at_desk(Right.POLICY)) -> Applied:
    """Make a document the policy in force, for good or until it is confirmed."""
    desk.must_see_all("the policy")
    return await policies.apply_policy(
        desk, new.text, new.reason, based_on=new.based_on, confirm_within_s=new.confirm_within_s
    )


@router.get("/policy/versions")
async def versions(
    desk: Desk = at_desk(Right.SEE),
    cursor: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 50,
) -> Versions:
    """List the versions, the newest first, with what became of each."""
    desk.must_see_all("the policy")
    history = await policy_history.history(desk, limit + 1, cursor)
    found = list(history.versions)
    after = str(found[limit - 1].version) if len(found) > limit else None
    return Versions(found[:limit], after, history.problem)


@router.get("/policy/versions/{version}")
async def show_version(version: Number, desk: Desk = at_desk(Right.SEE)) -> PolicyEntry:
    """Show a version with its document."""
    desk.must_see_all("the policy")
    return await policies.policy_version(desk, version)


@router.post("/policy/versions/{version}/rollback")
async def roll_back(version: Number, why: Why, desk: Desk = at_desk(Right.POLICY)) -> Applied:
    """Make an earlier document the one in force, as a new version."""
    desk.must_see_all("the policy")
    return await policies.roll_back(
        desk, version, why.reason, based_on=why.based_on, confirm_within_s=why.confirm_within_s
    )


@router.post("/policy/check")
async def check(draft: Draft, desk: Desk = at_desk(Right.POLICY)) -> Checked:
    """Say what is wrong with a document, by key and line, and what it would change; nothing is applied."""
    desk.must_see_all("the policy")
    return await policy_history.check_policy(desk, draft.text, await policies.policy_now(desk))


@router.get("/policy/diff")
async def diff(
    old: Annotated[int, Query(ge=1, le=2**31 - 1)],
    new: Annotated[int, Query(ge=1, le=2**31 - 1)],
    desk: Desk = at_desk(Right.SEE),
) -> Diff:
    """Compare any two versions."""
    desk.must_see_all("the policy")
    return Diff(await policy_history.compare(desk, old, new))


@router.post("/policy/confirm")
async def confirm(which: Which, desk: Desk = at_desk(Right.POLICY)) -> Applied:
    """Have a version that waits stay."""
    desk.must_see_all("the policy")
    return await policies.confirm(desk, which.version)


@router.post("/policy/take-back")
async def take_back(which: Which, desk: Desk = at_desk(Right.POLICY)) -> Applied:
    """Put the version before in the place of one that waits."""
    desk.must_see_all("the policy")
    return await policies.take_back(desk, which.version, which.reason)
