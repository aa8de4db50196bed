"""DKIM keys, and what DNS says of their records (PURE)."""

from dataclasses import dataclass

from shared.dkim_keys import KeyState, RecordState, record_name


@dataclass(frozen=True, slots=True)
class Listed:
    """A key as a list shows it, without its secret. Times are Unix seconds."""

    domain: str
    selector: str
    algorithm: str
    record: str
    state: KeyState
    made_at: float
    state_at: float
    keep_until: float | None

    @property
    def name(self) -> str:
        """Where its record stands."""
        return record_name(self.selector, self.domain)


@dataclass(frozen=True, slots=True)
class Look:
    """What one server says. server: empty for our resolver. state: None if it says nothing, for the cause."""

    server: str
    state: RecordState | None
    cause: str = ""


def is_published(looks: list[Look]) -> bool:
    """Return whether the record is there for everybody: our resolver has it, and no nameserver says otherwise (PURE).

    A nameserver that does not answer is no reason to wait: it answers nobody else, either, or only not us.
    """
    rest = looks[1:]
    return looks[0].state is RecordState.PUBLISHED and all(one.state in (None, RecordState.PUBLISHED) for one in rest)


@dataclass(frozen=True, slots=True)
class Looked:
    """A key, and what DNS says of it."""

    key: Listed
    looks: list[Look]

    @property
    def published(self) -> bool:
        """Whether its record is there for everybody."""
        return is_published(self.looks)


@dataclass(frozen=True, slots=True)
class Switched:
    """What changed: keys that sign from now on, and keys that do no more."""

    active: list[Listed]
    retired: list[Listed]


def told_look(look: Look) -> str:
    """Return a sentence about what a server says (PURE)."""
    said = look.state.value if look.state is not None else f"no answer ({look.cause})"
    return f"{said} at {look.server or 'our resolver'}"


@dataclass(frozen=True, slots=True)
class Pruned:
    """forgotten: keys whose records may go from DNS. kept: those whose records are needed longer."""

    forgotten: list[Listed]
    kept: list[Listed]
