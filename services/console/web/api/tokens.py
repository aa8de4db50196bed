"""Tokens of the API: one's own, and with the right to change users those of others."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.console.actions import tokens
from services.console.actions.desk import Desk
from services.console.actions.user_rules import DOMAINS_LIMIT, NAME_LIMIT
from services.console.identity.rights import Role
from services.console.web.who import at_desk

router = APIRouter(tags=["tokens"])
Domain = Annotated[str, Field(max_length=255)]


class WantedToken(BaseModel):
    """What a token is to be. user: another than the caller only on the console's own host."""

    model_config = ConfigDict(extra="forbid")
    label: str = Field(min_length=1, max_length=tokens.LABEL_LIMIT)
    role: Role
    domains: list[Domain] | None = Field(None, max_length=DOMAINS_LIMIT)
    days: int = Field(90, ge=1, le=tokens.LONGEST_DAYS)
    user: str = Field("", max_length=NAME_LIMIT)


@router.get("/tokens")
async def list_tokens(
    desk: Desk = at_desk(),
    user: Annotated[str, Query(max_length=NAME_LIMIT, description="Those of this user; without it one's own")] = "",
    of_all: Annotated[bool, Query(description="Those of all users")] = False,
) -> list[tokens.Token]:
    """List tokens, the newest first."""
    return await tokens.list_tokens(desk, None if of_all else user or desk.caller.user)


@router.post("/tokens", status_code=201)
async def add_token(wanted: WantedToken, desk: Desk = at_desk()) -> tokens.NewToken:
    """Make a token; the answer shows it once. One made by a token ends with that, at the latest."""
    return await tokens.add_token(desk, wanted.label, wanted.role, wanted.domains, days=wanted.days, user=wanted.user)


@router.delete("/tokens/{token}", status_code=204)
async def remove_token(token: Annotated[str, Path(max_length=40)], desk: Desk = at_desk()) -> None:
    """Remove a token by its id."""
    await tokens.remove_token(desk, token)
