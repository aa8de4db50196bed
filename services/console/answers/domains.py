"""Domains of ours, as actions tell of them (PURE)."""

from dataclasses import dataclass

from pydantic import JsonValue

from shared.dkim_keys import KeyState
from shared.policy.domain import RouteChoice


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of a domain does, or did. version: that it was made from, or that is in force by it.

    diff: of the document; of the domain's own table alone for whoever may not see the rest.
    """

    version: int
    diff: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class LastCheck:
    """When a domain was checked last, and how many checks came out how."""

    at: float
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Said:
    """What a delivery process said of a hop. since: Unix seconds."""

    host: str
    state: str
    cause: str
    since: float


@dataclass(frozen=True, slots=True)
class RouteTold:
    """A route. said: what each delivery process last said of it."""

    to: str
    priority: int
    weight: int
    said: list[Said]
    hop: str


@dataclass(frozen=True, slots=True)
class KeyTold:
    """A DKIM key."""

    selector: str
    algorithm: str
    state: KeyState


@dataclass(frozen=True, slots=True)
class DomainListed:
    """A domain in a list. recipients: how many are listed, or by whom they are known.

    choices: its routes with priority and weight. people: the recipients that are listed, for who may see them.
    """

    domain: str
    routes: list[str]
    states: list[str]
    recipients: int | str
    aliases: int
    keys: dict[str, int]
    checked: LastCheck | None
    choices: list[RouteChoice]
    people: list[str] | None


@dataclass(frozen=True, slots=True)
class DomainTold:
    """A domain. table: the keys that it has in the policy; null for whoever may not see its people."""

    domain: str
    version: int
    rules: list[str]
    routes: list[RouteTold]
    table: dict[str, JsonValue] | None
    checked: LastCheck | None
    recipients: int | str
    people: list[str] | None
    aliases: int
    catch_all: str | None
    keys: list[KeyTold]
