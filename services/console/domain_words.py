"""A domain's rules in plain sentences, and as the fields of a form (PURE).

Input: the rules as the policy has them, and the keys that the domain's own table has. Output: text.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import tomlkit

from services.console.domain_edit import KeyPath, Value
from services.console.story.told import size
from shared.policy.domain import Batv, DomainRules

OF_DNS = ("any", "verified", "ldap")
_WHO = {
    "any": "Everybody is a recipient: the next server decides, and what it does not take cannot be delivered",
    "verified": "A recipient is who the next server says is one",
    "ldap": "A recipient is who the directory of edge's settings has",
}
# Keys that have fields of their own; what else the table has is shown as text.
_FIELDS = ("route", "recipients", "aliases", "catch_all", "subaddress", "size_bytes", "group", "same_as")


class FormError(ValueError):
    """A field that cannot be read; the text says which."""


@dataclass(frozen=True, slots=True)
class People:
    """What a form says of who lives in a domain. kind: "list", one of OF_DNS, or empty where the table says nothing."""

    kind: str
    listed: str
    aliases: str
    catch_all: str
    subaddress: str


@dataclass(frozen=True, slots=True)
class Ways:
    """What a form says of the rest: where mail goes, and what differs. more: keys of the table, as TOML."""

    routes: str
    size_bytes: str
    group: str
    same_as: str
    more: str


def sentences(rules: DomainRules) -> Iterator[str]:
    """Yield what holds for a domain, without names of people."""
    yield from _of_routes(rules)
    yield _of_recipients(rules)
    if rules.aliases:
        yield f"{_count(len(rules.aliases), 'alias leads', 'aliases lead')} elsewhere."
    if rules.catch_all is not None:
        yield "Mail to anybody else is caught by one mailbox."
    if rules.subaddress:
        yield f"What stands behind {rules.subaddress} in a local part is a subaddress of the one before it."
    if rules.size_bytes is not None:
        yield f"Messages {size(rules.size_bytes)} at most are taken."
    if rules.same_as is not None:
        yield f"Its people are those of {rules.same_as}."
    if rules.group is not None:
        yield f"It is in the group {rules.group}, whose keys hold where its own table has none."
    if rules.batv is not Batv.OFF:
        enforced = ", and bounces without one are refused" if rules.batv is Batv.ENFORCE else ""
        yield f"Its senders carry tags{enforced}."
    if not rules.greylisting:
        yield "Mail to it is not greylisted."


def people_of(own: Mapping[str, Value]) -> People:
    """Return the fields of a form for a domain's own table."""
    recipients = own.get("recipients")
    listed = recipients if isinstance(recipients, list) else []
    kind = "list" if isinstance(recipients, list) else str(recipients or "")
    aliases = own.get("aliases")
    lines = [f"{name}: {_targets(to)}" for name, to in aliases.items()] if isinstance(aliases, dict) else []
    return People(
        kind,
        "\n".join(map(str, listed)),
        "\n".join(lines),
        str(own.get("catch_all") or ""),
        str(own.get("subaddress") or ""),
    )


def ways_of(own: Mapping[str, Value]) -> Ways:
    """Return the fields of the other form."""
    more = {key: value for key, value in own.items() if key not in _FIELDS}
    return Ways(
        _route_lines(own.get("route")),
        str(own.get("size_bytes") or ""),
        str(own.get("group") or ""),
        str(own.get("same_as") or ""),
        "\n".join(f"{key} = {tomlkit.item(value).as_string()}" for key, value in _flat(more)),
    )


def changed_people(form: People, own: Mapping[str, Value]) -> dict[KeyPath, Value | None]:
    """Return the keys that a form changes. Raises FormError."""
    wanted: dict[str, Value] = {}
    if form.kind == "list":
        wanted["recipients"] = list[Value](form.listed.replace(",", " ").split())
    elif form.kind in OF_DNS:
        wanted["recipients"] = form.kind
    if form.catch_all.strip():
        wanted["catch_all"] = form.catch_all.strip()
    if form.subaddress.strip():
        wanted["subaddress"] = form.subaddress.strip()
    changes = _changed(wanted, own, ("recipients", "catch_all", "subaddress"))
    return changes | _changed_aliases(_read_aliases(form.aliases), own.get("aliases"))


def changed_ways(form: Ways, own: Mapping[str, Value]) -> dict[KeyPath, Value | None]:
    """Return the keys that the other form changes. Raises FormError."""
    wanted: dict[str, Value] = {}
    if form.routes.strip():
        wanted["route"] = _read_routes(form.routes)
    if form.size_bytes.strip():
        if not form.size_bytes.strip().isdecimal():
            raise FormError(f"{form.size_bytes[:40]!r} is not a number of bytes")
        wanted["size_bytes"] = int(form.size_bytes)
    for key, text in (("group", form.group), ("same_as", form.same_as)):
        if text.strip():
            wanted[key] = text.strip()
    changes = _changed(wanted, own, ("route", "size_bytes", "group", "same_as"))
    before = dict(_flat({key: value for key, value in own.items() if key not in _FIELDS}))
    after = dict(_flat(_read_more(form.more)))
    changes |= {tuple(key.split(".")): value for key, value in after.items() if before.get(key) != value}
    return changes | {tuple(key.split(".")): None for key in before if key not in after}


def _of_routes(rules: DomainRules) -> Iterator[str]:
    first, *others = rules.routes
    yield f"Mail goes to {first.to}."
    for choice in others:
        shared = choice.priority == first.priority
        yield f"{choice.to} {'shares it' if shared else 'is tried when those before it cannot be reached'}."


def _of_recipients(rules: DomainRules) -> str:
    if isinstance(rules.recipients, str):
        return f"{_WHO[rules.recipients]}."
    patterns = sum("*" in name for name in rules.recipients)
    names = _count(len(rules.recipients) - patterns, "listed recipient", "listed recipients")
    with_patterns = f" and {_count(patterns, 'pattern', 'patterns')}" if patterns else ""
    return f"It has {names}{with_patterns}; postmaster and abuse are always taken."


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _targets(value: Value) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _route_lines(value: Value | None) -> str:
    if not isinstance(value, list):
        return str(value or "")
    lines = []
    for one in value:
        if isinstance(one, dict):
            numbers = [f"{key}={one[key]}" for key in ("priority", "weight") if key in one]
            lines.append(" ".join([str(one.get("to", "")), *numbers]))
        else:
            lines.append(str(one))
    return "\n".join(lines)


def _read_routes(text: str) -> Value:
    choices: list[Value] = []
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        choice: dict[str, Value] = {"to": words[0]}
        for word in words[1:]:
            key, _, number = word.partition("=")
            if key not in ("priority", "weight") or not number.isdecimal():
                raise FormError(f"{line[:80]!r}: a route, and perhaps priority=1 weight=2 behind it")
            choice[key] = int(number)
        choices.append(choice if len(choice) > 1 else words[0])
    return choices[0] if len(choices) == 1 and isinstance(choices[0], str) else choices


def _read_aliases(text: str) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, targets = line.partition(":")
        words = targets.replace(",", " ").split()
        if not colon or not name.strip() or not words:
            raise FormError(f"{line[:80]!r}: an alias is written info: anna ben@example.org")
        if name.strip() in found:
            raise FormError(f"the alias {name.strip()[:80]!r} stands there twice")
        found[name.strip()] = words[0] if len(words) == 1 else list[Value](words)
    return found


# So many aliases are changed one by one, so that comments between them stay; more at once as a whole table.
_ONE_BY_ONE = 20


def _changed_aliases(after: dict[str, Value], own: Value | None) -> dict[KeyPath, Value | None]:
    before: dict[str, Value] = dict(own) if isinstance(own, dict) else {}
    if [(name, _targets(to)) for name, to in before.items()] == [(name, _targets(to)) for name, to in after.items()]:
        return {}
    changed = {name: to for name, to in after.items() if name not in before or _targets(before[name]) != _targets(to)}
    gone = [name for name in before if name not in after]
    if not after:
        return {"aliases": None}
    if not before or len(changed) + len(gone) > _ONE_BY_ONE:
        return {"aliases": after}
    changes: dict[KeyPath, Value | None] = {("aliases", name): to for name, to in changed.items()}
    changes |= {("aliases", name): None for name in gone}
    return changes


def _changed(
    wanted: Mapping[str, Value], own: Mapping[str, Value], keys: tuple[str, ...]
) -> dict[KeyPath, Value | None]:
    found: dict[KeyPath, Value | None] = {}
    for key in keys:
        if key in wanted and own.get(key) != wanted[key]:
            found[key] = wanted[key]
        elif key not in wanted and key in own and own[key] not in ("", None):
            found[key] = None
    return found


def _read_more(text: str) -> dict[str, Value]:
    try:
        table: dict[str, Value] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FormError(f"the other keys are not TOML: {error}") from None
    if taken := sorted(set(table) & set(_FIELDS)):
        raise FormError(f"{taken[0]} has a field of its own")
    return table


def _flat(table: Mapping[str, Value], above: str = "") -> Iterator[tuple[str, Value]]:
    """Yield each key with its path; keys of tables inside have simple names."""
    for key, value in table.items():
        path = f"{above}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{path}.")
        else:
            yield path, value
