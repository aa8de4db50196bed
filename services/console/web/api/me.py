"""Who asks."""

from dataclasses import dataclass

from fastapi import APIRouter

from services.console.actions.desk import Desk
from services.console.identity.rights import RIGHTS, Right, Role, Via
from services.console.web.who import at_desk

router = APIRouter(tags=["me"])


@dataclass(frozen=True, slots=True)
class Me:
    """Who asks, and what they may. user: whose token it is. domains: null for all."""

    name: str
    user: str
    role: Role
    rights: list[Right]
    domains: list[str] | None
    via: Via
    address: str


@router.get("/me")
async def show(desk: Desk = at_desk()) -> Me:
    """Say who asks and what they may."""
    caller = desk.caller
    return Me(
        caller.name,
        caller.user,
        caller.role,
        sorted(RIGHTS[caller.role]),
        None if caller.domains is None else sorted(caller.domains),
        caller.via,
        caller.address,
    )
