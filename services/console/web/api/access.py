"""Access rules of the policy, bans, and brakes of accounts."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.console.actions import access, bans, brakes
from services.console.actions.access import AccessRules
from services.console.actions.bans import Banned
from services.console.actions.brakes import Braked
from services.console.actions.desk import Desk
from services.console.actions.policies import Applied
from services.console.answers.bans import Lifted
from services.console.identity.rights import Right
from services.console.web.api.policy import Why
from services.console.web.who import at_desk
from shared.policy.access import AccessRule

router = APIRouter(tags=["access"])
Place = Annotated[int, Path(ge=1, le=10_000)]
Login = Annotated[str, Path(max_length=320)]


class NewRule(Why):
    """A rule to be added. place: from 1, null for the last one. note: a comment above it in the document."""

    rule: AccessRule
    place: int | None = Field(None, ge=1, le=10_000)
    note: str = Field("", max_length=200)


class Move(Why):
    """Another place for a rule."""

    to: int = Field(ge=1, le=10_000)


class NewBan(BaseModel):
    """A ban. address: an IPv4 address, or an IPv6 one, which stands for its /64."""

    model_config = ConfigDict(extra="forbid")
    address: str = Field(min_length=1, max_length=64)
    length_s: int = Field(86_400, ge=1, le=bans.LONGEST_S)
    why: str = Field("", max_length=200)


@router.get("/access")
async def show(desk: Desk = at_desk(Right.SEE)) -> AccessRules:
    """List the access rules in the order in which they are read."""
    desk.must_see_all("access rules")
    return await access.access_rules(desk)


@router.post("/access")
async def add(new: NewRule, desk: Desk = at_desk(Right.POLICY)) -> Applied:
    """Add a rule."""
    desk.must_see_all("access rules")
    edit = access.add(new.rule, new.place, new.note)
    return await access.change(desk, edit, new.reason, based_on=new.based_on, confirm_within_s=new.confirm_within_s)


@router.post("/access/{place}/move")
async def move(place: Place, wanted: Move, desk: Desk = at_desk(Right.POLICY)) -> Applied:
    """Put a rule at another place."""
    desk.must_see_all("access rules")
    return await access.change(
        desk,
        access.move(place, wanted.to),
        wanted.reason,
        based_on=wanted.based_on,
        confirm_within_s=wanted.confirm_within_s,
    )


@router.post("/access/{place}/remove")
async def remove(place: Place, why: Why, desk: Desk = at_desk(Right.POLICY)) -> Applied:
    """Take a rule out."""
    desk.must_see_all("access rules")
    return await access.change(
        desk, access.remove(place), why.reason, based_on=why.based_on, confirm_within_s=why.confirm_within_s
    )


@router.get("/bans")
async def list_bans(
    desk: Desk = at_desk(Right.BANS), limit: Annotated[int, Query(ge=1, le=100_000)] = 200
) -> list[Banned]:
    """List the bans in force by address."""
    return await bans.list_bans(desk, limit)


@router.post("/bans", status_code=201)
async def add_ban(new: NewBan, desk: Desk = at_desk(Right.BANS)) -> Banned:
    """Ban an address, or change the end of its ban."""
    return await bans.add_ban(desk, new.address, new.length_s, new.why)


@router.delete("/bans")
async def lift_ban(
    address: Annotated[str, Query(min_length=1, max_length=64)],
    desk: Desk = at_desk(Right.BANS),
    *,
    forget: bool = False,
) -> Lifted:
    """Lift a ban; with forget its earlier bans are forgotten, too."""
    return Lifted(await bans.remove_ban(desk, address, forget=forget))


@router.get("/brakes")
async def list_brakes(desk: Desk = at_desk(Right.BANS)) -> list[Braked]:
    """List the accounts whose mail is held back for sending spam."""
    return await brakes.list_braked(desk)


@router.delete("/brakes/{login}", status_code=204)
async def lift_brake(login: Login, desk: Desk = at_desk(Right.BANS)) -> None:
    """Let an account's mail pass again."""
    await brakes.release_brake(desk, login)
