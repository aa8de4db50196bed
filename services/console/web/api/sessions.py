"""Browsers that are logged in: one's own, and with the right to change users those of others."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.console.actions import own
from services.console.actions.desk import Desk
from services.console.actions.user_rules import NAME_LIMIT, folded
from services.console.answers.users import Browser
from services.console.web.who import at_desk

router = APIRouter(tags=["sessions"])


@router.get("/sessions")
async def list_sessions(
    desk: Desk = at_desk(),
    user: Annotated[str, Query(max_length=NAME_LIMIT, description="Those of this user; without it one's own")] = "",
    of_all: Annotated[bool, Query(description="Those of all users")] = False,
) -> list[Browser]:
    """List the browsers that are logged in, the last seen first."""
    return await own.list_sessions(desk, None if of_all else folded(user) or desk.caller.user)


@router.delete("/sessions/{session}", status_code=204)
async def end_session(session: Annotated[str, Path(max_length=64)], desk: Desk = at_desk()) -> None:
    """Log a browser out."""
    await own.end_browser(desk, session)
