"""Our domains: listing, showing and checking them (I/O: SQL, broker, DNS, HTTPS). Changes are domain_changes.py's.

known: the policy that this process has in force, where it follows the stream; without it, the stream is read.
A caller's domains bound what is seen.
On failure: ActionError.
"""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk, NotFound, NotUnderstood
from services.console.actions.policies import active_policy, policy_version
from services.console.answers.domains import LastCheck
from services.console.domain_check.check import Check, Level
from services.console.domain_check.dkim import KnownKey
from services.console.domain_check.subject import subject_of
from services.console.domain_edit import Value, own_keys
from services.console.tables import audit, dkim_keys, hops
from shared.address import AddressError, parse_domain
from shared.broker.ports import PolicyPort
from shared.dkim_keys import KeyState
from shared.dns.open import open_resolver
from shared.policy import Policy
from shared.policy.domain import DomainRules, RouteChoice
from shared.policy_entry import PolicyEntry
from shared.routes import RouteKind, parse_route

__all__ = [
    "CHECKED",
    "Fetching",
    "Health",
    "LastCheck",
    "Listed",
    "RouteHealth",
    "Shown",
    "check_domains",
    "domain_of",
    "entry_in_force",
    "list_domains",
    "list_health",
    "rules_of",
    "show_domain",
]

# In the audit, where the last check of each domain is found again.
CHECKED = "domain check"


@dataclass(frozen=True, slots=True)
class Listed:
    """A domain of ours, in a line."""

    domain: str
    rules: DomainRules


@dataclass(frozen=True, slots=True)
class Health:
    """A domain of ours with how it is. routes: each with its states, as delivery last said them, without repeats.

    keys: how many DKIM keys are in each state. checked: None if it never was.
    """

    domain: str
    rules: DomainRules
    routes: tuple[tuple[str, tuple[str, ...]], ...]
    keys: dict[str, int]
    checked: LastCheck | None


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
    checked: LastCheck | None = None


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
        raise NotUnderstood(f"{text[:80]!r} is not a domain: {error}") from None


async def list_domains(desk: Desk, known: PolicyPort | None = None) -> list[Listed]:
    """Return our domains, sorted. Raises ActionError."""
    policy = known.policy if known is not None and _version(known) else (await entry_in_force(desk)).policy()
    return [Listed(domain, rules) for domain, rules in sorted(policy.domains.items()) if desk.caller.covers(domain)]


async def list_health(desk: Desk, known: PolicyPort | None = None) -> list[Health]:
    """Return our domains, sorted, with how they are. Raises ActionError."""
    found = await list_domains(desk, known)
    names = [one.domain for one in found]
    said = await _hops_said(desk, [_hop_key(choice, one.domain) for one in found for choice in one.rules.routes])
    async with desk.database.reading() as connection:
        keys = await _key_states(connection, names)
        checks = await _last_checks(connection, names)
    return [
        Health(
            one.domain,
            one.rules,
            tuple((choice.to, _states(said.get(_hop_key(choice, one.domain), ()))) for choice in one.rules.routes),
            keys.get(one.domain, {}),
            checks.get(one.domain),
        )
        for one in found
    ]


async def show_domain(desk: Desk, domain: str, known: PolicyPort | None = None) -> Shown:
    """Return what is known of a domain. Raises ActionError."""
    desk.must_cover(domain)
    entry = await entry_in_force(desk, known)
    policy = known.policy if known is not None and _version(known) == entry.version else entry.policy()
    rules = rules_of(policy, domain)
    said = await _hops_said(desk, [_hop_key(choice, domain) for choice in rules.routes])
    routes = tuple(
        RouteHealth(choice, key, tuple(said.get(key, ())))
        for choice in rules.routes
        for key in (_hop_key(choice, domain),)
    )
    async with desk.database.reading() as connection:
        checked = await _last_checks(connection, [domain])
    return Shown(
        domain,
        rules,
        own_keys(entry.text, domain),
        routes,
        await _keys(desk, domain),
        entry.version,
        checked.get(domain),
    )


async def check_domains(
    desk: Desk,
    domains: Sequence[str],
    fetching: Fetching = Fetching(),
    on_done: Callable[[str, list[Check]], None] = lambda _domain, _checks: None,
) -> dict[str, list[Check]]:
    """Return the checks of domains, of all if none is named. Raises ActionError.

    on_done: called with each domain's checks, as soon as they are there.
    """
    # Imported here, like all that only one command needs: `gatepost status` should be quick.
    from services.console.domain_check.asking import RouteQuestions  # noqa: PLC0415
    from services.console.domain_check.examine import Means, examine  # noqa: PLC0415
    from services.console.domain_check.fetch import PolicyFetch  # noqa: PLC0415

    desk.must_cover(*domains)
    policy = (await entry_in_force(desk)).policy()
    for domain in domains:
        rules_of(policy, domain)
    resolver = open_resolver(desk.settings.dns)
    routes = RouteQuestions(desk.settings.broker)
    fetch = PolicyFetch(resolver, fetching.port, fetching.ca_file)
    means = Means(resolver, fetch, routes.ask, desk.settings.hostname, time.time())
    try:
        found: dict[str, list[Check]] = {}
        # One after the other: a check is many questions already.
        for domain in domains or sorted(filter(desk.caller.covers, policy.domains)):
            keys = await _keys(desk, domain)
            found[domain] = await examine(subject_of(domain, policy), keys, policy.dns_lists, means)
            await _note_check(desk, domain, found[domain])
            on_done(domain, found[domain])
        return found
    finally:
        await routes.close()
        await resolver.close()


async def entry_in_force(desk: Desk, known: PolicyPort | None = None) -> PolicyEntry:
    """Return the entry in force. Raises ActionError where there is none."""
    if known is not None and (version := _version(known)):
        # The history has the text of what this process follows; where it has not, the stream has.
        with contextlib.suppress(ActionError):
            return await policy_version(desk, version)
    entry = await active_policy(desk)
    if entry is None:
        raise ActionError('no policy is in force: gatepost policy apply FILE --reason "…"')
    return entry


def rules_of(policy: Policy, domain: str) -> DomainRules:
    """Return the rules of a domain of ours. Raises NotFound."""
    if domain not in policy.domains:
        raise NotFound(f"{domain} is none of our domains: gatepost domain list")
    return policy.domains[domain]


def _version(known: PolicyPort) -> int:
    version = getattr(known, "version", 0)
    return version if isinstance(version, int) else 0


async def _note_check(desk: Desk, domain: str, checks: Iterable[Check]) -> None:
    counts = Counter(check.level.value for check in checks)
    async with desk.database.writing() as connection:
        await desk.note(connection, CHECKED, domain, **{level.value: counts[level.value] for level in Level})


async def _last_checks(connection: AsyncConnection, domains: Sequence[str]) -> dict[str, LastCheck]:
    columns = audit.c
    newest = (
        select(columns.target, func.max(columns.at).label("at"))
        .where(columns.action == CHECKED, columns.target.in_(domains))
        .group_by(columns.target)
        .subquery()
    )
    same = (columns.target == newest.c.target) & (columns.at == newest.c.at) & (columns.action == CHECKED)
    rows = await connection.execute(select(columns.target, columns.at, columns.details).join(newest, same))
    return {
        row.target: LastCheck(row.at, {level: count for level, count in json.loads(row.details).items() if count})
        for row in rows
    }


async def _key_states(connection: AsyncConnection, domains: Sequence[str]) -> dict[str, dict[str, int]]:
    columns = dkim_keys.c
    counted = select(columns.domain, columns.state, func.count()).group_by(columns.domain, columns.state)
    found: dict[str, dict[str, int]] = {}
    for domain, state, count in await connection.execute(counted):
        found.setdefault(domain, {})[state] = int(count)
    return {domain: found[domain] for domain in domains if domain in found}


def _states(said: Sequence[tuple[str, str, str, float]]) -> tuple[str, ...]:
    return tuple(sorted({state for _, state, _, _ in said}))


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
