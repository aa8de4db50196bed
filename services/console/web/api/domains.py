"""Our domains: how they are, changing and checking them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from services.console.actions import domain_changes, domains
from services.console.actions.desk import Desk, NotUnderstood
from services.console.actions.policies import CONFIRM_LEAST_S, CONFIRM_MOST_S
from services.console.answers.domains import Change, DomainListed, DomainTold, KeyTold, RouteTold, Said
from services.console.domain_check.check import Check
from services.console.domain_edit import KeyPath, Value
from services.console.domain_words import sentences
from services.console.identity.rights import Right
from services.console.web.api.policy import Within
from services.console.web.who import at_desk, backstage_of
from shared.policy.domain import DomainRules

router = APIRouter(tags=["domains"])
Name = Annotated[str, Path(max_length=255)]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("no control characters here")
    return text


Step = Annotated[str, Field(min_length=1, max_length=320), AfterValidator(_printable)]
Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_printable)]


class KeyChange(BaseModel):
    """A key of a domain's table. path: step by step, as ["checks", "spf", "fail"]. value: null takes it out."""

    model_config = ConfigDict(extra="forbid")
    path: list[Step] = Field(min_length=1, max_length=8)
    value: JsonValue = None


class Changes(BaseModel):
    """A change of a domain. based_on: the version of the policy that it was made from. preview: only show the diff.

    confirm_within_s: every stage goes back by itself then, unless it is confirmed; null for a change that stays.
    """

    model_config = ConfigDict(extra="forbid")
    changes: list[KeyChange] = Field(min_length=1, max_length=1000)
    reason: Reason
    based_on: int | None = Field(None, ge=0, le=2**31 - 1)
    preview: bool = False
    confirm_within_s: Within = None


class NewDomain(BaseModel):
    """A domain that becomes ours. keys: its table, as in the policy: route, recipients and whatever else.

    confirm_within_s: as for a change.
    """

    model_config = ConfigDict(extra="forbid")
    domain: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
    keys: dict[Step, JsonValue] = Field(min_length=1, max_length=100)
    reason: Reason
    confirm_within_s: Within = None


@router.get("/domains")
async def list_domains(
    request: Request,
    desk: Desk = at_desk(Right.SEE),
    people: Annotated[bool, Query(description="With the recipients that are listed")] = False,
) -> list[DomainListed]:
    """List the domains with how they are."""
    return [
        DomainListed(
            one.domain,
            [route for route, _ in one.routes],
            sorted({state for _, states in one.routes for state in states}),
            _recipients(one.rules),
            len(one.rules.aliases),
            one.keys,
            one.checked,
            list(one.rules.routes),
            _people(one.rules, desk) if people else None,
        )
        for one in await domains.list_health(desk, backstage_of(request).policy)
    ]


@router.post("/domains", status_code=201)
async def add_domain(new: NewDomain, desk: Desk = at_desk(Right.POLICY)) -> Change:
    """Make a domain one of ours."""
    keys = {key: _value(value) for key, value in new.keys.items()}
    name = domains.domain_of(new.domain)
    added = await domain_changes.add_domain(desk, name, keys, new.reason, confirm_within_s=new.confirm_within_s)
    return domain_changes.change_of(desk, added)


@router.get("/domains/{domain}")
async def show_domain(request: Request, domain: Name, desk: Desk = at_desk(Right.SEE)) -> DomainTold:
    """Show a domain: what holds for it in words, its routes with their states, its own keys in the policy."""
    shown = await domains.show_domain(desk, domains.domain_of(domain), backstage_of(request).policy)
    return DomainTold(
        shown.domain,
        shown.version,
        list(sentences(shown.rules)),
        [
            RouteTold(
                route.choice.to,
                route.choice.priority,
                route.choice.weight,
                [Said(host, state, cause, at) for host, state, cause, at in route.said],
                route.hop,
            )
            for route in shown.routes
        ],
        _table(shown) if desk.caller.may(Right.READ_MAIL) else None,
        shown.checked,
        _recipients(shown.rules),
        _people(shown.rules, desk),
        len(shown.rules.aliases),
        _catch_all(shown.rules) if desk.caller.may(Right.READ_MAIL) else None,
        [KeyTold(key.selector, key.algorithm, key.state) for key in shown.keys],
    )


@router.patch("/domains/{domain}")
async def change_domain(domain: Name, asked: Changes, desk: Desk = at_desk(Right.DOMAINS)) -> Change:
    """Change keys of a domain; a domain manager changes recipients, aliases, catch_all and subaddress alone."""
    name = domains.domain_of(domain)
    changes: dict[KeyPath, Value | None] = {
        tuple(one.path): None if one.value is None else _value(one.value) for one in asked.changes
    }
    if asked.preview:
        return await domain_changes.preview_keys(desk, name, changes)
    changed = await domain_changes.set_keys(
        desk, name, changes, asked.reason, based_on=asked.based_on, confirm_within_s=asked.confirm_within_s
    )
    return domain_changes.change_of(desk, changed)


@router.delete("/domains/{domain}")
async def remove_domain(
    domain: Name,
    reason: Annotated[str, Query(min_length=1, max_length=500), AfterValidator(_printable)],
    confirm_within_s: Annotated[int | None, Query(ge=CONFIRM_LEAST_S, le=CONFIRM_MOST_S)] = None,
    desk: Desk = at_desk(Right.POLICY),
) -> Change:
    """Let a domain be none of ours any more."""
    name = domains.domain_of(domain)
    removed = await domain_changes.remove_domain(desk, name, reason, confirm_within_s=confirm_within_s)
    return domain_changes.change_of(desk, removed)


@router.post("/domains/{domain}/check")
async def check_domain(domain: Name, desk: Desk = at_desk(Right.SEE)) -> list[Check]:
    """Ask DNS and the routes whether all is well with a domain; the answer takes up to a minute."""
    name = domains.domain_of(domain)
    return (await domains.check_domains(desk, [name]))[name]


def _recipients(rules: DomainRules) -> int | str:
    return rules.recipients if isinstance(rules.recipients, str) else len(rules.recipients)


def _people(rules: DomainRules, desk: Desk) -> list[str] | None:
    if isinstance(rules.recipients, str) or not desk.caller.may(Right.READ_MAIL):
        return None
    return list(rules.recipients)


def _catch_all(rules: DomainRules) -> str | None:
    return None if rules.catch_all is None else str(rules.catch_all)


def _table(shown: domains.Shown) -> dict[str, JsonValue]:
    return {key: _json(value) for key, value in shown.own.items()}


def _json(value: Value) -> JsonValue:
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    return [_json(one) for one in value] if isinstance(value, list) else value


def _value(value: JsonValue) -> Value:
    match value:
        case None:
            raise NotUnderstood("null has no place inside a value")
        case dict():
            return {key: _value(inner) for key, inner in value.items()}
        case list():
            return [_value(one) for one in value]
        case str() if not value.isprintable():
            raise NotUnderstood("no control characters here")
        case _:
            return value
