"""Our domains: listing, showing, checking, and changing them in the policy in force (I/O: SQL, broker, DNS, HTTPS).

A change is an edit of the policy document, comments kept, and makes a new version of it like `gatepost policy apply`.
On failure: ActionError, PolicyError (the document would not be usable, so nothing changes).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from services.console.actions.desk import ActionError, Desk
from services.console.actions.policies import Applied, active_policy, apply_policy
from services.console.domain_check.check import Check
from services.console.domain_check.dkim import KnownKey
from services.console.domain_check.subject import subject_of
from services.console.domain_edit import EditError, Value, own_keys, with_domain, with_keys, without_domain
from services.console.tables import dkim_keys, hops
from shared.address import AddressError, parse_domain
from shared.dkim_keys import KeyState
from shared.dns.open import open_resolver
from shared.policy import Policy
from shared.policy.domain import DomainRules, RouteChoice
from shared.policy_entry import PolicyEntry
from shared.routes import RouteKind, parse_route


@dataclass(frozen=True, slots=True)
class Listed:
    """A domain of ours, in a line."""

    domain: str
    rules: DomainRules


@dataclass(frozen=True, slots=True)
class RouteHealth:
    """A route and what delivery last said of it. said: (host of the process, state, cause, since when)."""

    choice: RouteChoice
    hop: str
    said: tuple[tuple[str, str, str, float], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A domain with what is known of it. own: the keys that its table has in the document."""

    domain: str
    rules: DomainRules
    own: Mapping[str, Value]
    routes: tuple[RouteHealth, ...]
    keys: tuple[KnownKey, ...]
    version: int


@dataclass(frozen=True, slots=True)
class Fetching:
    """Where MTA-STS policies are fetched: 443 and the system's authorities, but in tests."""

    port: int = 443
    ca_file: Path | None = None


def domain_of(text: str) -> str:
    """Return the one form of a domain's name. Raises ActionError."""
    try:
        return parse_domain(text.strip().rstrip("."))
    except AddressError as error:
        raise ActionError(f"{text[:80]!r} is not a domain: {error}") from None


async def list_domains(desk: Desk) -> list[Listed]:
    """Return our domains, sorted. Raises ActionError."""
    _, policy = await _in_force(desk)
    return [Listed(domain, rules) for domain, rules in sorted(policy.domains.items())]


async def show_domain(desk: Desk, domain: str) -> Shown:
    """Return what is known of a domain. Raises ActionError."""
    entry, policy = await _in_force(desk)
    rules = _rules(policy, domain)
    said = await _hops_said(desk, [_hop_key(choice, domain) for choice in rules.routes])
    routes = tuple(
        RouteHealth(choice, key, tuple(said.get(key, ())))
        for choice in rules.routes
        for key in (_hop_key(choice, domain),)
    )
    return Shown(domain, rules, own_keys(entry.text, domain), routes, await _keys(desk, domain), entry.version)


async def check_domains(desk: Desk, domains: Sequence[str], fetching: Fetching = Fetching()) -> dict[str, list[Check]]:
    """Return the checks of domains, of all if none is named. Raises ActionError."""
    # Imported here, like all that only one command needs: `gatepost status` should be quick.
    from services.console.domain_check.asking import RouteQuestions  # noqa: PLC0415
    from services.console.domain_check.examine import Means, examine  # noqa: PLC0415
    from services.console.domain_check.fetch import PolicyFetch  # noqa: PLC0415

    _, policy = await _in_force(desk)
    for domain in domains:
        _rules(policy, domain)
    resolver = open_resolver(desk.settings.dns)
    routes = RouteQuestions(desk.settings.broker)
    fetch = PolicyFetch(resolver, fetching.port, fetching.ca_file)
    means = Means(resolver, fetch, routes.ask, desk.settings.hostname, time.time())
    try:
        found: dict[str, list[Check]] = {}
        # One after the other: a check is many questions already.
        for domain in domains or sorted(policy.domains):
            keys = await _keys(desk, domain)
            found[domain] = await examine(subject_of(domain, policy), keys, policy.dns_lists, means)
        return found
    finally:
        await routes.close()
        await resolver.close()


async def add_domain(desk: Desk, domain: str, table: Mapping[str, Value], reason: str) -> Applied:
    """Make a domain one of ours. Raises ActionError, PolicyError."""
    return await _edit(desk, f"domain add {domain}: {reason}", lambda text: with_domain(text, domain, table))


async def set_keys(desk: Desk, domain: str, changes: Mapping[str, Value | None], reason: str) -> Applied:
    """Set keys of a domain, or take out those whose value is None. Raises ActionError, PolicyError."""
    return await _edit(desk, f"domain set {domain}: {reason}", lambda text: with_keys(text, domain, changes))


async def remove_domain(desk: Desk, domain: str, reason: str) -> Applied:
    """Let a domain be none of ours any more. Raises ActionError, PolicyError."""
    return await _edit(desk, f"domain remove {domain}: {reason}", lambda text: without_domain(text, domain))


async def _edit(desk: Desk, reason: str, edit: Callable[[str], str]) -> Applied:
    entry = await _entry(desk)
    try:
        text = edit(entry.text)
    except EditError as error:
        raise ActionError(str(error)) from None
    return await apply_policy(desk, text, reason, based_on=entry.version)


async def _entry(desk: Desk) -> PolicyEntry:
    entry = await active_policy(desk)
    if entry is None:
        raise ActionError('no policy is in force: gatepost policy apply FILE --reason "…"')
    return entry


async def _in_force(desk: Desk) -> tuple[PolicyEntry, Policy]:
    entry = await _entry(desk)
    return entry, entry.policy()


def _rules(policy: Policy, domain: str) -> DomainRules:
    if domain not in policy.domains:
        raise ActionError(f"{domain} is none of our domains: gatepost domain list")
    return policy.domains[domain]


def _hop_key(choice: RouteChoice, domain: str) -> str:
    """Return the name that delivery gives a hop."""
    route = parse_route(choice.to)
    return f"mx:{domain}" if route.kind is RouteKind.MX else str(route)


async def _hops_said(desk: Desk, keys: Sequence[str]) -> dict[str, list[tuple[str, str, str, float]]]:
    asked = select(hops).where(hops.c.hop.in_(keys)).order_by(hops.c.host)
    said: dict[str, list[tuple[str, str, str, float]]] = {}
    async with desk.database.reading() as connection:
        for row in await connection.execute(asked):
            said.setdefault(row.hop, []).append((row.host, row.state, row.cause, row.at))
    return said


async def _keys(desk: Desk, domain: str) -> tuple[KnownKey, ...]:
    columns = dkim_keys.c
    asked = select(columns.selector, columns.algorithm, columns.record, columns.state, columns.keep_until)
    async with desk.database.reading() as connection:
        rows = await connection.execute(asked.where(columns.domain == domain).order_by(columns.selector))
        return tuple(
            KnownKey(row.selector, row.algorithm, row.record, KeyState(row.state), row.keep_until) for row in rows
        )
