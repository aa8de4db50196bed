"""Access rules, bans, and brakes of accounts."""

from typing import Annotated

from fastapi import APIRouter, Form, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from services.console.actions import access, bans, brakes
from services.console.actions.access import AccessRules, Edit
from services.console.actions.bans import Banned
from services.console.actions.brakes import Braked
from services.console.actions.desk import ActionError
from services.console.actions.policies import Now
from services.console.identity.rights import Right
from services.console.story.reasons import refusal
from services.console.web.pages.policy import review
from services.console.web.who import Visit, visiting
from shared.explain import explain
from shared.policy.access import AccessAction, AccessRule, Service

router = APIRouter()
_BANS = 500
_NOTES = {
    "banned": "The address is banned; every edge heeds it within seconds.",
    "lifted": "The ban is lifted; every edge lets the address in again within seconds.",
    "released": "The account's mail passes again.",
}
Place = Annotated[int, Form(ge=1, le=10_000)]
Version = Annotated[int, Form(ge=0, le=2**31 - 1)]
Words = Annotated[str, Form(max_length=20_000)]
Address = Annotated[str, Form(max_length=64)]


@router.get("/access")
async def show(visit: Visit = visiting(Right.BANS), note: str = "") -> Response:
    """Show rules, bans and brakes; what cannot be looked at says why."""
    return await _page(visit, note=_NOTES.get(note, ""))


@router.post("/access/add")
async def add(
    *,
    visit: Visit = visiting(Right.POLICY),
    version: Version = 0,
    action: Annotated[AccessAction, Form()] = AccessAction.DENY,
    networks: Words = "",
    reverse_names: Words = "",
    helo_names: Words = "",
    countries: Words = "",
    certificates: Words = "",
    text: Annotated[str, Form(max_length=200)] = "",
    services: Annotated[list[Service] | None, Form(max_length=len(Service))] = None,
    place: Annotated[int, Form(ge=0, le=10_000)] = 0,
    note: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Show what a new rule changes, and ask why. place: 0 for the last."""
    lists = {
        "networks": networks,
        "reverse_names": reverse_names,
        "helo_names": helo_names,
        "countries": countries,
        "certificates": certificates,
    }
    given: dict[str, object] = {name: words.replace(",", " ").split() for name, words in lists.items() if words.strip()}
    try:
        rule = AccessRule.model_validate(
            given | {"action": action, "text": text.strip(), "services": services or list(Service)}
        )
    except ValidationError as error:
        return await _page(visit, error=explain(error))
    return await _review(visit, access.add(rule, place or None, note), version)


@router.post("/access/remove")
async def remove(visit: Visit = visiting(Right.POLICY), version: Version = 0, place: Place = 1) -> Response:
    """Show what changes without a rule, and ask why."""
    return await _review(visit, access.remove(place), version)


@router.post("/access/move")
async def move(
    visit: Visit = visiting(Right.POLICY), version: Version = 0, place: Place = 1, to: Place = 1
) -> Response:
    """Show what changes with a rule at another place, and ask why."""
    return await _review(visit, access.move(place, to), version)


@router.post("/access/bans/add")
async def add_ban(
    visit: Visit = visiting(Right.BANS),
    address: Address = "",
    length: Annotated[str, Form(max_length=20)] = "1d",
    why: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Ban an address."""
    try:
        await bans.add_ban(visit.desk, address.strip(), bans.parse_length(length.strip()), why.strip())
    except ActionError as error:
        return await _page(visit, error=str(error), status_code=error.status)
    return RedirectResponse("/access?note=banned#bans", 303)


@router.post("/access/bans/lift")
async def lift_ban(
    visit: Visit = visiting(Right.BANS), address: Address = "", forget: Annotated[bool, Form()] = False
) -> Response:
    """Lift a ban."""
    await bans.remove_ban(visit.desk, address.strip(), forget=forget)
    return RedirectResponse("/access?note=lifted#bans", 303)


@router.post("/access/brakes/lift")
async def lift_brake(visit: Visit = visiting(Right.BANS), login: Annotated[str, Form(max_length=320)] = "") -> Response:
    """Let an account's mail pass again."""
    await brakes.release_brake(visit.desk, login)
    return RedirectResponse("/access?note=released#brakes", 303)


async def _review(visit: Visit, edit: Edit, version: int) -> Response:
    """Go the way of every policy: the changes, why, and for how long."""
    visit.desk.must_see_all("access rules")
    now = await access.in_force_now(visit.desk)
    if version != now.entry.version:
        raise ActionError(f"the rules have changed since version {version}: look at them again")
    return await review(visit, access.edited(now.entry.text, edit), version, back="/access")


async def _page(visit: Visit, *, note: str = "", error: str = "", status_code: int = 200) -> Response:
    visit.desk.must_see_all("access rules and bans")
    now, rules, problem = await _rules(visit)
    banned, no_bans = await _bans(visit)
    braked, no_brakes = await _brakes(visit)
    return visit.page(
        "access/show.html",
        status_code=422 if error and status_code == 200 else status_code,
        held=now,
        rules=rules,
        problem=problem,
        banned=[(one, refusal(one.ban.why).meaning) for one in banned],
        no_bans=no_bans,
        braked=braked,
        no_brakes=no_brakes,
        actions=[(action.value, action.value) for action in AccessAction],
        services=[service.value for service in Service],
        note=note,
        error=error,
    )


async def _rules(visit: Visit) -> tuple[Now | None, AccessRules | None, str]:
    try:
        now = await access.in_force_now(visit.desk)
    except ActionError as error:
        return None, None, str(error)
    return now, access.rules_of(now), ""


async def _bans(visit: Visit) -> tuple[list[Banned], str]:
    try:
        return await bans.list_bans(visit.desk, _BANS), ""
    except ActionError as error:
        return [], str(error)


async def _brakes(visit: Visit) -> tuple[list[Braked], str]:
    try:
        return await brakes.list_braked(visit.desk), ""
    except ActionError as error:
        return [], str(error)
