"""The users: who may log in, with which rights.

What changes them, or ends what they use, wants a proof of who asks that is not older than ten minutes: a browser that
was left open must not make an administrator.
"""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import RedirectResponse

from services.console.actions import users
from services.console.actions.desk import ActionError
from services.console.actions.own import end_browser, list_sessions
from services.console.actions.tokens import list_tokens, remove_token
from services.console.actions.user_rules import NAME_LIMIT
from services.console.identity.rights import Right, Role
from services.console.web.who import Visit, visiting

router = APIRouter()
Name = Annotated[str, Path(max_length=NAME_LIMIT)]
Domains = Annotated[str, Form(max_length=40_000)]
_ROLES = [(role.value, role.value) for role in Role]
_NOTES = {
    "changed": "The new rights hold from now on.",
    "disabled": "The user is shut out; their browsers are logged out.",
    "enabled": "The user may log in again.",
    "removed": "The user is removed.",
    "ended": "The user is logged out everywhere.",
    "session": "That browser is logged out.",
    "token": "The token is removed.",
    "factor": "The second factor is taken away: the user logs in by password alone, and should set up a new one.",
}


@router.get("/users")
async def show_all(visit: Visit = visiting(Right.USERS), note: str = "") -> Response:
    """List the users."""
    return visit.page("users/list.html", users=await users.list_users(visit.desk), note=_NOTES.get(note, ""))


@router.get("/users/new")
async def add_form(visit: Visit = visiting(Right.USERS)) -> Response:
    """Ask who it is."""
    visit.must_be_fresh()
    return _add(visit)


@router.post("/users/new")
async def add(
    visit: Visit = visiting(Right.USERS),
    name: Annotated[str, Form(max_length=400)] = "",
    role: Annotated[Role, Form()] = Role.VIEWER,
    domains: Domains = "",
) -> Response:
    """Add a user, and show the link once."""
    visit.must_be_fresh()
    try:
        made = await users.add_user(visit.desk, name, role, domains.split())
    except ActionError as error:
        return _add(visit, name=name, role=role, domains=domains, error=str(error), status_code=error.status)
    return visit.page("users/invited.html", made=made, is_new=True)


@router.get("/users/{name}")
async def show(name: Name, visit: Visit = visiting(Right.USERS), note: str = "") -> Response:
    """Show a user."""
    return await _one(visit, name, note=_NOTES.get(note, ""))


@router.post("/users/{name}/change")
async def change(
    name: Name,
    visit: Visit = visiting(Right.USERS),
    role: Annotated[Role, Form()] = Role.VIEWER,
    domains: Domains = "",
) -> Response:
    """Give a user another role, other domains."""
    visit.must_be_fresh(f"/users/{name}")
    try:
        await users.change_user(visit.desk, name, role, domains.split())
    except ActionError as error:
        return await _one(visit, name, error=str(error), status_code=error.status)
    return _back(name, "changed")


@router.post("/users/{name}/disable")
async def disable(name: Name, visit: Visit = visiting(Right.USERS)) -> Response:
    """Shut a user out."""
    visit.must_be_fresh(f"/users/{name}")
    await users.disable_user(visit.desk, name)
    return _back(name, "disabled")


@router.post("/users/{name}/enable")
async def enable(name: Name, visit: Visit = visiting(Right.USERS)) -> Response:
    """Let a user in again."""
    visit.must_be_fresh(f"/users/{name}")
    await users.disable_user(visit.desk, name, disabled=False)
    return _back(name, "enabled")


@router.post("/users/{name}/remove")
async def remove(name: Name, visit: Visit = visiting(Right.USERS)) -> Response:
    """Remove a user."""
    visit.must_be_fresh(f"/users/{name}")
    await users.remove_user(visit.desk, name)
    return RedirectResponse("/users?note=removed", 303)


@router.post("/users/{name}/invite")
async def invite(name: Name, visit: Visit = visiting(Right.USERS)) -> Response:
    """Make a new link, and show it once."""
    visit.must_be_fresh(f"/users/{name}")
    return visit.page("users/invited.html", made=await users.invite_again(visit.desk, name), is_new=False)


@router.post("/users/{name}/second-factor/reset")
async def reset(name: Name, visit: Visit = visiting(Right.USERS)) -> Response:
    """Take the second factor away."""
    visit.must_be_fresh(f"/users/{name}")
    await users.reset_second_factor(visit.desk, name)
    return _back(name, "factor")


@router.post("/users/{name}/sessions/end")
async def end_all(name: Name, visit: Visit = visiting(Right.USERS)) -> Response:
    """Log a user out everywhere."""
    visit.must_be_fresh(f"/users/{name}")
    await users.end_sessions(visit.desk, name)
    return _back(name, "ended")


@router.post("/users/{name}/sessions/{session}/end")
async def end_one(
    name: Name, session: Annotated[str, Path(max_length=64)], visit: Visit = visiting(Right.USERS)
) -> Response:
    """Log one browser of a user out."""
    visit.must_be_fresh(f"/users/{name}")
    await end_browser(visit.desk, session)
    return _back(name, "session")


@router.post("/users/{name}/tokens/{token}/remove")
async def remove_one_token(
    name: Name, token: Annotated[str, Path(max_length=40)], visit: Visit = visiting(Right.USERS)
) -> Response:
    """Remove a token of a user."""
    visit.must_be_fresh(f"/users/{name}")
    await remove_token(visit.desk, token)
    return _back(name, "token")


def _back(name: str, note: str) -> Response:
    return RedirectResponse(f"/users/{quote(name, safe='')}?note={note}", 303)


def _add(
    visit: Visit,
    *,
    name: str = "",
    role: Role = Role.VIEWER,
    domains: str = "",
    error: str = "",
    status_code: int = 200,
) -> Response:
    return visit.page(
        "users/add.html",
        status_code=status_code,
        name=name,
        role=role.value,
        roles=_ROLES,
        domains=domains,
        error=error,
    )


async def _one(visit: Visit, name: str, *, note: str = "", error: str = "", status_code: int = 200) -> Response:
    user = await users.show_user(visit.desk, name)
    return visit.page(
        "users/show.html",
        status_code=status_code,
        user=user,
        roles=_ROLES,
        sessions=await list_sessions(visit.desk, user.name),
        tokens=await list_tokens(visit.desk, user.name),
        note=note,
        error=error,
    )
