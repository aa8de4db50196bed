"""The DKIM keys of a domain: what is to be published, what DNS says, and which keys sign."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import RedirectResponse

from services.console.actions import dkim
from services.console.actions.desk import ActionError
from services.console.actions.domains import domain_of
from services.console.identity.rights import Right
from services.console.web.who import Visit, visiting
from shared.dkim_keys import SIGNATURE_LIFE_S, KeyState

router = APIRouter()
Name = Annotated[str, Path(max_length=255)]
Days = Annotated[int, Form(ge=0, le=90)]
_NOTES = {
    "made": "Two keys are made; they do not sign yet. Publish their records, then let them sign.",
    "switched": "The new keys sign from now on. Leave the records of the old ones in DNS until the time shown.",
    "retired": "The domain signs no more. Leave the records in DNS until the time shown.",
    "forgotten": "The keys that waited are forgotten.",
    "pruned": "Retired keys whose time was over are forgotten: their records may be taken out of DNS.",
}
_DAY_S = 86_400.0
_GRACE_DAYS = SIGNATURE_LIFE_S // 86_400
_STATES = {
    KeyState.ACTIVE: ("signs", "good"),
    KeyState.PENDING: ("waits", "warn"),
    KeyState.RETIRED: ("retired", "calm"),
}


@router.get("/domains/{domain}/dkim")
async def show(domain: Name, visit: Visit = visiting(Right.SEE), note: str = "") -> Response:
    """Show the keys of a domain."""
    return await _page(visit, domain_of(domain), note=_NOTES.get(note, ""))


@router.get("/domains/{domain}/dkim/records")
async def records(domain: Name, visit: Visit = visiting(Right.SEE)) -> Response:
    """Show what DNS says of each key now."""
    return await _page(visit, domain_of(domain), ask=True)


@router.post("/domains/{domain}/dkim/add")
async def add(domain: Name, visit: Visit = visiting(Right.POLICY)) -> Response:
    """Make the first keys, or the next ones of a domain that signs."""
    name = domain_of(domain)
    signs = any(key.state is KeyState.ACTIVE for key in await dkim.list_keys(visit.desk, name))
    try:
        await dkim.add_keys(visit.desk, name, rotate=signs)
    except ActionError as error:
        return await _page(visit, name, error=error)
    return _back(name, "made")


@router.post("/domains/{domain}/dkim/switch")
async def switch(domain: Name, visit: Visit = visiting(Right.POLICY), days: Days = _GRACE_DAYS) -> Response:
    """Let the waiting keys sign, if DNS has their records."""
    name = domain_of(domain)
    try:
        await dkim.switch_keys(visit.desk, name, grace_s=days * _DAY_S)
    except ActionError as error:
        return await _page(visit, name, error=error)
    return _back(name, "switched")


@router.post("/domains/{domain}/dkim/retire")
async def retire(
    domain: Name,
    visit: Visit = visiting(Right.POLICY),
    days: Days = _GRACE_DAYS,
    pending: Annotated[bool, Form()] = False,
) -> Response:
    """Let a domain sign no more, or only forget the keys that wait."""
    name = domain_of(domain)
    try:
        await dkim.retire_keys(visit.desk, name, grace_s=days * _DAY_S, pending_only=pending)
    except ActionError as error:
        return await _page(visit, name, error=error)
    return _back(name, "forgotten" if pending else "retired")


@router.post("/domains/{domain}/dkim/prune")
async def prune(domain: Name, visit: Visit = visiting(Right.POLICY)) -> Response:
    """Forget retired keys whose time is over."""
    name = domain_of(domain)
    over, kept = await dkim.prune_keys(visit.desk, name)
    if not over:
        why = "the retired keys must be kept longer" if kept else "there are no retired keys"
        return await _page(visit, name, error=ActionError(f"nothing is forgotten: {why}"))
    return _back(name, "pruned")


async def _page(
    visit: Visit, domain: str, *, note: str = "", ask: bool = False, error: ActionError | None = None
) -> Response:
    keys = await dkim.list_keys(visit.desk, domain)
    looked = {one.key.selector: one for one in await dkim.look_at_keys(visit.desk, domain)} if ask and keys else {}
    return visit.page(
        "domains/dkim.html",
        status_code=error.status if error else 200,
        domain=domain,
        keys=keys,
        looked=looked,
        told=dkim.told_look,
        states=_STATES,
        has={state.value: any(key.state is state for key in keys) for state in KeyState},
        days=_GRACE_DAYS,
        asked=ask,
        note=note,
        error=str(error) if error else "",
    )


def _back(domain: str, note: str) -> Response:
    return RedirectResponse(f"/domains/{quote(domain, safe='')}/dkim?note={note}", 303)
