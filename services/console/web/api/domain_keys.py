"""DKIM keys of our domains."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from services.console.actions import dkim
from services.console.actions.desk import Desk
from services.console.actions.dkim import GRACE_S, Looked, Switched
from services.console.actions.dkim_book import Listed
from services.console.actions.domains import domain_of
from services.console.answers.dkim import Pruned
from services.console.identity.rights import Right
from services.console.web.who import at_desk

router = APIRouter(tags=["dkim"])
Name = Annotated[str, Path(max_length=255)]
_GRACE_LIMIT_S = 90 * 86_400.0


class NewKeys(BaseModel):
    """Keys to be made. selector: what both selectors begin with; empty: the next. rotate: for a domain that signs."""

    model_config = ConfigDict(extra="forbid")
    selector: str = Field("", max_length=52)
    rotate: bool = False


class Grace(BaseModel):
    """grace_s: for how many seconds keys that sign no more are kept, and their records needed."""

    model_config = ConfigDict(extra="forbid")
    grace_s: float = Field(GRACE_S, ge=0, le=_GRACE_LIMIT_S)


class Retiring(Grace):
    """pending_only: only forget the keys that wait."""

    pending_only: bool = False


@router.get("/dkim")
async def list_keys(desk: Desk = at_desk(Right.SEE)) -> list[Listed]:
    """List the keys of all domains, without their secrets."""
    return await dkim.list_keys(desk)


@router.get("/domains/{domain}/dkim")
async def list_keys_of_domain(domain: Name, desk: Desk = at_desk(Right.SEE)) -> list[Listed]:
    """List the keys of a domain with the records to publish."""
    return await dkim.list_keys(desk, domain_of(domain))


@router.post("/domains/{domain}/dkim", status_code=201)
async def add_keys(domain: Name, new: NewKeys, desk: Desk = at_desk(Right.POLICY)) -> list[Listed]:
    """Make a pair of keys, which does not sign yet."""
    return await dkim.add_keys(desk, domain_of(domain), new.selector, rotate=new.rotate)


@router.get("/domains/{domain}/dkim/records")
async def look_at_keys(domain: Name, desk: Desk = at_desk(Right.SEE)) -> list[Looked]:
    """Ask DNS, every nameserver of the zone, for the records of a domain's keys."""
    return await dkim.look_at_keys(desk, domain_of(domain))


@router.post("/domains/{domain}/dkim/switch")
async def switch_keys(domain: Name, grace: Grace, desk: Desk = at_desk(Right.POLICY)) -> Switched:
    """Let the waiting keys sign, if DNS has the records of all of them."""
    return await dkim.switch_keys(desk, domain_of(domain), grace_s=grace.grace_s)


@router.post("/domains/{domain}/dkim/retire")
async def retire_keys(domain: Name, asked: Retiring, desk: Desk = at_desk(Right.POLICY)) -> list[Listed]:
    """Let a domain sign no more, and forget the keys that wait; return those retired."""
    return await dkim.retire_keys(desk, domain_of(domain), grace_s=asked.grace_s, pending_only=asked.pending_only)


@router.post("/domains/{domain}/dkim/prune")
async def prune_keys(domain: Name, desk: Desk = at_desk(Right.POLICY)) -> Pruned:
    """Forget retired keys whose time is over."""
    over, kept = await dkim.prune_keys(desk, domain_of(domain))
    return Pruned(over, kept)


@router.post("/dkim/prune")
async def prune_all_keys(desk: Desk = at_desk(Right.POLICY)) -> Pruned:
    """Forget the retired keys of all domains whose time is over."""
    over, kept = await dkim.prune_keys(desk)
    return Pruned(over, kept)
