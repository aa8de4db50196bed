"""One's own API tokens."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import RedirectResponse

from services.console.actions.desk import ActionError
from services.console.actions.tokens import LABEL_LIMIT, LONGEST_DAYS, add_token, remove_token
from services.console.identity.rights import Role, within
from services.console.web.who import Visit, visiting

router = APIRouter()


@router.get("/me/tokens")
async def form(visit: Visit = visiting()) -> Response:
    """Ask what the token is for."""
    visit.must_be_fresh()
    return _form(visit)


@router.post("/me/tokens")
async def make(
    visit: Visit = visiting(),
    label: Annotated[str, Form(max_length=LABEL_LIMIT)] = "",
    role: Annotated[Role | None, Form()] = None,
    domains: Annotated[str, Form(max_length=20_000)] = "",
    days: Annotated[int, Form(ge=1, le=LONGEST_DAYS)] = 90,
) -> Response:
    """Make it, and show it once."""
    visit.must_be_fresh("/me/tokens")
    try:
        made = await add_token(visit.desk, label, role or visit.caller.role, domains.split(), days=days)
    except ActionError as error:
        return _form(visit, label=label, domains=domains, error=str(error), status_code=error.status)
    return visit.page("me/token.html", made=made, label=label)


@router.post("/me/tokens/{token}/remove")
async def remove(token: Annotated[str, Path(max_length=40)], visit: Visit = visiting()) -> Response:
    """Remove it: the program that has it is refused from now on."""
    await remove_token(visit.desk, token)
    return RedirectResponse("/me?note=token-removed", 303)


def _form(visit: Visit, *, label: str = "", domains: str = "", error: str = "", status_code: int = 200) -> Response:
    roles = [(role.value, role.value) for role in Role if within(role, visit.caller.role)]
    return visit.page(
        "me/new_token.html",
        status_code=status_code,
        roles=roles,
        role=visit.caller.role.value,
        label=label,
        domains=domains,
        error=error,
        longest=LONGEST_DAYS,
    )
