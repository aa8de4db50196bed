"""Users of the console."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from services.console.actions import users
from services.console.actions.desk import Desk
from services.console.actions.user_rules import DOMAINS_LIMIT, NAME_LIMIT
from services.console.answers.users import Ended
from services.console.identity.directory import User
from services.console.identity.rights import Right, Role
from services.console.web.who import at_desk

router = APIRouter(tags=["users"])
Name = Annotated[str, Path(max_length=NAME_LIMIT)]
Domain = Annotated[str, Field(max_length=255)]


class Rights(BaseModel):
    """What a user may do. domains: null for all; for domain managers and viewers alone."""

    model_config = ConfigDict(extra="forbid")
    role: Role
    domains: list[Domain] | None = Field(None, max_length=DOMAINS_LIMIT)


class NewUser(Rights):
    """A user to be invited."""

    name: str = Field(min_length=1, max_length=NAME_LIMIT)


@router.get("/users")
async def list_users(desk: Desk = at_desk(Right.USERS)) -> list[User]:
    """List the users by name."""
    return await users.list_users(desk)


@router.post("/users", status_code=201)
async def add_user(new: NewUser, desk: Desk = at_desk(Right.USERS)) -> users.Invited:
    """Add a user; the answer has the link, good once, by which a password is set."""
    return await users.add_user(desk, new.name, new.role, new.domains)


@router.get("/users/{name}")
async def show_user(name: Name, desk: Desk = at_desk(Right.USERS)) -> User:
    """Show a user."""
    return await users.show_user(desk, name)


@router.put("/users/{name}/rights")
async def change_user(name: Name, rights: Rights, desk: Desk = at_desk(Right.USERS)) -> User:
    """Give a user another role and other domains."""
    return await users.change_user(desk, name, rights.role, rights.domains)


@router.post("/users/{name}/disable")
async def disable_user(name: Name, desk: Desk = at_desk(Right.USERS)) -> User:
    """Shut a user out."""
    return await users.disable_user(desk, name)


@router.post("/users/{name}/enable")
async def enable_user(name: Name, desk: Desk = at_desk(Right.USERS)) -> User:
    """Let a user in again."""
    return await users.disable_user(desk, name, disabled=False)


@router.delete("/users/{name}", status_code=204)
async def remove_user(name: Name, desk: Desk = at_desk(Right.USERS)) -> None:
    """Remove a user."""
    await users.remove_user(desk, name)


@router.post("/users/{name}/invitation", status_code=201)
async def invite_again(name: Name, desk: Desk = at_desk(Right.USERS)) -> users.Invited:
    """Make a new link by which a user sets a password; it ends the older ones."""
    return await users.invite_again(desk, name)


@router.delete("/users/{name}/second-factor")
async def reset_second_factor(name: Name, desk: Desk = at_desk(Right.USERS)) -> User:
    """Take a user's authenticator app and passkeys away."""
    return await users.reset_second_factor(desk, name)


@router.delete("/users/{name}/sessions")
async def end_sessions(name: Name, desk: Desk = at_desk(Right.USERS)) -> Ended:
    """Log a user out everywhere."""
    return Ended(await users.end_sessions(desk, name))
