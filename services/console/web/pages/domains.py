"""The domains: how each is, what holds for it, changing it, and checking it."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Path, Response
from fastapi.responses import RedirectResponse

from services.console.actions import domain_changes, domains
from services.console.actions.desk import ActionError, NotFound, NotUnderstood
from services.console.actions.domain_bounds import is_free
from services.console.actions.policies import CONFIRM_MOST_S, Now, policy_now
from services.console.domain_check.check import Check, Level
from services.console.domain_words import (
    FormError,
    People,
    Ways,
    changed_people,
    changed_ways,
    people_of,
    sentences,
    ways_of,
)
from services.console.identity.rights import Right
from services.console.web.errands import Errand, errands_of
from services.console.web.pages.policy import MINUTES, Keep, Minutes
from services.console.web.who import Visit, backstage_of, visiting
from shared.policy import PolicyError

router = APIRouter()
Name = Annotated[str, Path(max_length=255)]
Line = Annotated[str, Form(max_length=400)]
Text = Annotated[str, Form(max_length=1_500_000)]
_NOTES = {
    "changed": "The change is in force.",
    "waits": "The change is in force. Look whether all is well, then confirm it.",
    "same": "Nothing was changed: the policy says so already.",
    "added": "The domain is ours now. See whether all is well with it.",
    "removed": "The domain is none of ours any more; what waits for it is still delivered.",
}
_KINDS = [
    ("list", "only those listed"),
    ("verified", "whom the next server knows"),
    ("ldap", "whom the directory has"),
    ("any", "everybody"),
]
_SIGNS = [("", "none"), *((sign, sign) for sign in "+-_=#.")]


@dataclass(frozen=True, slots=True)
class How:
    """Why a change is made, from which version, and for how long. step: preview or apply."""

    reason: Annotated[str, Form(max_length=500)] = ""
    based_on: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0
    step: Line = "apply"
    keep: Keep = "good"
    minutes: Minutes = MINUTES

    @property
    def why(self) -> str:
        """The reason. Raises NotUnderstood where there is none."""
        if not self.reason.strip():
            raise NotUnderstood("say in a few words why: it stands in the history of the policy")
        if not self.reason.isprintable():
            raise NotUnderstood("the reason has control characters")
        return self.reason.strip()

    @property
    def confirm_within_s(self) -> int | None:
        """After how many seconds it goes back by itself; None: it stays."""
        return self.minutes * 60 if self.keep == "ask" else None

    def note(self, done: str) -> str:
        """Return the name of what is said afterwards. done: of what is said where it stays."""
        return "waits" if self.keep == "ask" else done


Asked = Annotated[How, Depends()]


@router.get("/domains")
async def show_all(visit: Visit = visiting(Right.SEE), note: str = "") -> Response:
    """List the domains."""
    found = await domains.list_health(visit.desk, backstage_of(visit.request).policy)
    return visit.page(
        "domains/list.html",
        domains=found,
        note=_NOTES.get(note, ""),
        held=await _held(visit, note),
        errand=errands_of(visit.request).find(_round_of(visit)),
        free=is_free(visit.caller),
    )


@router.post("/domains/check")
async def check_all(visit: Visit = visiting(Right.SEE)) -> Response:
    """Check all domains that the user sees, one after the other."""
    names = [one.domain for one in await domains.list_domains(visit.desk, backstage_of(visit.request).policy)]
    _start_checks(visit, _round_of(visit), names)
    return RedirectResponse("/domains", 303)


@router.get("/domains/checking")
async def checking(visit: Visit = visiting(Right.SEE)) -> Response:
    """Show how far the checks are."""
    return visit.page("domains/checking.html", errand=errands_of(visit.request).find(_round_of(visit)))


@router.get("/domains/new")
async def add_form(visit: Visit = visiting(Right.POLICY)) -> Response:
    """Ask which domain it is."""
    visit.desk.must_see_all("adding a domain")
    return _add(visit, How(), {})


@router.post("/domains/new")
async def add(
    how: Asked,
    visit: Visit = visiting(Right.POLICY),
    *,
    domain: Line = "",
    routes: Annotated[str, Form(max_length=20_000)] = "",
    kind: Line = "list",
    listed: Text = "",
) -> Response:
    """Make a domain one of ours."""
    given = {"domain": domain, "routes": routes, "kind": kind, "listed": listed}
    try:
        name = domains.domain_of(domain)
        people = People(kind, listed, "", "", "")
        table = changed_ways(Ways(routes, "", "", "", ""), {}) | changed_people(people, {})
        keys = {str(key): value for key, value in table.items() if value is not None}
        await domain_changes.add_domain(visit.desk, name, keys, how.why, confirm_within_s=how.confirm_within_s)
    except (ActionError, PolicyError, FormError) as error:
        return _add(visit, how, given, str(error), _status(error))
    return _back(name, how.note("added"))


@router.get("/domains/{domain}")
async def show(domain: Name, visit: Visit = visiting(Right.SEE), note: str = "") -> Response:
    """Show a domain."""
    return await _one(visit, domains.domain_of(domain), note=note)


@router.post("/domains/{domain}/people")
async def change_people(
    domain: Name,
    how: Asked,
    visit: Visit = visiting(Right.DOMAINS),
    *,
    kind: Line = "",
    listed: Text = "",
    aliases: Text = "",
    catch_all: Line = "",
    subaddress: Line = "",
) -> Response:
    """Change who lives in a domain, or show what that would change."""
    return await _change(visit, domain, how, People(kind, listed, aliases, catch_all, subaddress))


@router.post("/domains/{domain}/ways")
async def change_ways(
    domain: Name,
    how: Asked,
    visit: Visit = visiting(Right.POLICY),
    *,
    routes: Annotated[str, Form(max_length=20_000)] = "",
    size_bytes: Line = "",
    group: Line = "",
    same_as: Line = "",
    more: Text = "",
) -> Response:
    """Change where a domain's mail goes, and what differs for it, or show what that would change."""
    return await _change(visit, domain, how, Ways(routes, size_bytes, group, same_as, more))


@router.post("/domains/{domain}/remove")
async def remove(domain: Name, how: Asked, visit: Visit = visiting(Right.POLICY)) -> Response:
    """Let a domain be none of ours any more."""
    name = domains.domain_of(domain)
    try:
        await domain_changes.remove_domain(visit.desk, name, how.why, confirm_within_s=how.confirm_within_s)
    except (ActionError, PolicyError) as error:
        return await _one(visit, name, error=str(error), status_code=_status(error))
    return RedirectResponse(f"/domains?note={how.note('removed')}", 303)


@router.post("/domains/{domain}/check")
async def check(domain: Name, visit: Visit = visiting(Right.SEE)) -> Response:
    """Start to check a domain."""
    name = domains.domain_of(domain)
    visit.desk.must_cover(name)
    if name not in [one.domain for one in await domains.list_domains(visit.desk, backstage_of(visit.request).policy)]:
        raise NotFound(f"{name} is none of our domains")
    _start_checks(visit, _check_of(name), [name])
    return RedirectResponse(f"/domains/{quote(name, safe='')}/check", 303)


@router.get("/domains/{domain}/check")
async def show_check(domain: Name, visit: Visit = visiting(Right.SEE), part: str = "") -> Response:
    """Show what a domain's check has found, or that it is not over yet."""
    name = domains.domain_of(domain)
    visit.desk.must_cover(name)
    errand = errands_of(visit.request).find(_check_of(name))
    template = "domains/findings.html" if part else "domains/check.html"
    return visit.page(template, domain=name, errand=errand, found=_found(errand, name), levels=_levels(errand, name))


def _round_of(visit: Visit) -> str:
    return f"domains of {visit.caller.user or visit.caller.name}"


def _check_of(domain: str) -> str:
    return f"domain {domain}"


def _start_checks(visit: Visit, name: str, names: list[str]) -> None:
    errands, now = errands_of(visit.request), backstage_of(visit.request).clock

    async def work(errand: Errand) -> dict[str, list[Check]]:
        def on_done(domain: str, checks: list[Check]) -> None:
            errand.done.append(domain)
            if name != _check_of(domain):
                errands.put(_check_of(domain), {domain: checks}, now())

        return await domains.check_domains(visit.desk, names, on_done=on_done) if names else {}

    errands.start(name, work, visit.now, len(names))


def _found(errand: Errand | None, domain: str) -> list[Check]:
    found: dict[str, list[Check]] = (errand.result if errand is not None else None) or {}
    return found.get(domain, [])


def _levels(errand: Errand | None, domain: str) -> dict[str, int]:
    checks = _found(errand, domain)
    return {level.value: sum(check.level is level for check in checks) for level in Level}


async def _shown(visit: Visit, domain: str) -> domains.Shown:
    return await domains.show_domain(visit.desk, domain, backstage_of(visit.request).policy)


async def _held(visit: Visit, note: str) -> Now | None:
    """Return what is in force, where the page has to ask whether it stays."""
    return await policy_now(visit.desk) if note == "waits" and is_free(visit.caller) else None


async def _change(visit: Visit, domain: str, how: How, form: People | Ways) -> Response:
    """Do what a domain's form says, or show what that would change."""
    name = domains.domain_of(domain)
    try:
        shown = await _shown(visit, name)
        changes = changed_people(form, shown.own) if isinstance(form, People) else changed_ways(form, shown.own)
        if not changes:
            return _back(name, "same")
        if how.step == "preview":
            change = await domain_changes.preview_keys(visit.desk, name, changes)
            return await _one(visit, name, form=form, how=how, diff=change.diff)
        applied = await domain_changes.set_keys(
            visit.desk,
            name,
            changes,
            how.why,
            based_on=how.based_on or shown.version,
            confirm_within_s=how.confirm_within_s,
        )
    except (ActionError, PolicyError, FormError) as error:
        return await _one(visit, name, form=form, how=how, error=str(error), status_code=_status(error))
    return _back(name, how.note("changed") if applied.is_new else "same")


async def _one(
    visit: Visit,
    domain: str,
    *,
    form: People | Ways | None = None,
    how: How | None = None,
    diff: str = "",
    note: str = "",
    error: str = "",
    status_code: int = 200,
) -> Response:
    shown = await _shown(visit, domain)
    return visit.page(
        "domains/show.html",
        status_code=status_code,
        shown=shown,
        sentences=list(sentences(shown.rules)),
        people=form if isinstance(form, People) else people_of(shown.own),
        ways=form if isinstance(form, Ways) else ways_of(shown.own),
        changes="people" if isinstance(form, People) else "ways" if form else "",
        inherits="recipients" not in shown.own,
        kinds=_KINDS,
        signs=_SIGNS,
        free=is_free(visit.caller),
        held=await _held(visit, note),
        how=how or How(),
        most=CONFIRM_MOST_S // 60,
        diff=diff,
        note=_NOTES.get(note, ""),
        error=error,
    )


def _add(visit: Visit, how: How, given: dict[str, str], error: str = "", status_code: int = 200) -> Response:
    empty = {"domain": "", "routes": "", "kind": "list", "listed": ""}
    return visit.page(
        "domains/add.html",
        status_code=status_code,
        given=empty | given,
        how=how,
        most=CONFIRM_MOST_S // 60,
        kinds=_KINDS,
        error=error,
    )


def _status(error: Exception) -> int:
    return error.status if isinstance(error, ActionError) else 422


def _back(domain: str, note: str) -> Response:
    return RedirectResponse(f"/domains/{quote(domain, safe='')}?note={note}", 303)
