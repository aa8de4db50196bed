"""What a stage does with a mail, as spans of OpenTelemetry's traces: the port that the stages use.

Owns: the work at hand of each task, of which further spans become children. While traces are off, or the mail is not
among those that are traced, each function returns `UNTRACED`, which does nothing.
Output: all spans of one visit of a mail together, once it is over, to the `Collector` of this process.
Nothing here may hold what is in a mail or whom it is from or for: ids, domains, sizes, outcomes, and names of errors.
"""

import secrets
import time
from contextvars import ContextVar, Token
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Protocol, TypeAlias

from shared.tracing.identity import is_traced, span_of, trace_of

Value: TypeAlias = str | int | float | bool | tuple[str, ...]
# The stage that begins a trace: all others' spans stand below its.
_ENTRY = "edge"


class Kind(StrEnum):
    """The part that a span has among the services, in OpenTelemetry's words."""

    INTERNAL = "internal"
    SERVER = "server"
    CONSUMER = "consumer"
    CLIENT = "client"


class Work(Protocol):
    """A piece of work, as a context manager."""

    @property
    def is_traced(self) -> bool:
        """Whether anything comes of what is noted."""

    def note(self, **facts: Value) -> None:
        """Add what is known of it by now."""

    def past(self, name: str, began_at: float, **facts: Value) -> None:
        """Add a child that began at a moment (Unix seconds) and is over now."""

    def drop(self) -> None:
        """Let nothing be told of it: it came to nothing."""

    def __enter__(self) -> "Work": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Untraced:
    """The work of which nothing is told."""

    __slots__ = ()
    is_traced = False

    def note(self, **facts: Value) -> None:
        """Forget it."""

    def past(self, name: str, began_at: float, **facts: Value) -> None:
        """Forget it."""

    def drop(self) -> None:
        """There is nothing to let go."""

    def __enter__(self) -> Work:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


UNTRACED = _Untraced()


class Span:
    """A piece of work that is traced. link: the span id of what it goes on with. failed: the name of its error."""

    __slots__ = (
        "_before",
        "_dropped",
        "_root",
        "began_ns",
        "ended_ns",
        "facts",
        "failed",
        "family",
        "kind",
        "link",
        "name",
        "parent",
        "span_id",
        "trace_id",
    )
    is_traced = True

    def __init__(self, name: str, trace_id: int, span_id: int, parent: int | None, *, began_ns: int) -> None:
        self.name = name
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent = parent
        self.began_ns = began_ns
        self.ended_ns = began_ns
        self.kind = Kind.INTERNAL
        self.link: int | None = None
        self.facts: dict[str, Value] = {}
        self.failed = ""
        # Those that are over, of the root and all below it.
        self.family: list[Span] = []
        self._root = self
        self._dropped = False
        self._before: Token[Span | None] | None = None

    def child(self, name: str, began_ns: int, kind: Kind = Kind.INTERNAL) -> "Span":
        """Return a new child."""
        made = Span(name, self.trace_id, _random_id(), self.span_id, began_ns=began_ns)
        made.kind, made._root = kind, self._root
        return made

    def note(self, **facts: Value) -> None:
        """Add what is known of it by now."""
        self.facts.update(facts)

    def past(self, name: str, began_at: float, **facts: Value) -> None:
        """Add a child that began at a moment (Unix seconds) and is over now."""
        made = self.child(name, int(began_at * 1e9))
        made.facts = facts
        made.end()

    def drop(self) -> None:
        """Let nothing be told of it, and nothing of its children where it is the root."""
        self._dropped = True

    def end(self) -> None:
        """Be over."""
        self.ended_ns = max(time.time_ns(), self.began_ns)
        if not self._dropped:
            self._root.family.append(self)
            if self._root is self and _now.collector is not None:
                _now.collector.put(self.family)

    def __enter__(self) -> Work:
        self._before = _at_hand.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            _at_hand.reset(self._before)
        if kind is not None:
            # Its words may name addresses.
            self.failed = kind.__name__
        self.end()


class Collector(Protocol):
    """Where the spans of a visit go."""

    def put(self, family: list[Span]) -> None:
        """Take them; returns at once."""


@dataclass(slots=True)
class _Now:
    """What holds in this process. collector: None while traces are off."""

    collector: Collector | None = None
    ratio: float = 0.0


_now = _Now()
_at_hand: ContextVar[Span | None] = ContextVar("gatepost_span", default=None)


def collect(collector: Collector | None, ratio: float = 0.0) -> None:
    """Have the spans of a part of all mails go to a collector from here on; None: of no mail."""
    _now.collector, _now.ratio = collector, ratio


def mail(
    stage: str,
    message_id: str,
    *,
    whole: str | None = None,
    began_at: float | None = None,
    visit: int | None = 0,
    goes_on: bool = False,
) -> Work:
    """Return a stage's work on a mail.

    whole: the id of the mail that this one is a part of. began_at: Unix seconds, if not now. visit: how many times it
    was put off before; None: not known, so that no later visit can be linked to this one. goes_on: whether this stage
    has had it before, and this goes on with that.
    """
    if _now.collector is None:
        return UNTRACED
    trace_id = trace_of(whole or message_id)
    if not is_traced(trace_id, _now.ratio):
        return UNTRACED
    span_id = _random_id() if visit is None else span_of(message_id, stage, visit)
    is_entry = stage == _ENTRY
    parent = None if is_entry else span_of(whole or message_id, _ENTRY)
    began_ns = time.time_ns() if began_at is None else int(began_at * 1e9)
    span = Span(stage, trace_id, span_id, parent, began_ns=began_ns)
    span.kind = Kind.SERVER if is_entry else Kind.CONSUMER
    span.facts["id"] = message_id
    if goes_on and visit:
        span.link = span_of(message_id, stage, visit - 1)
    return span


def span(name: str, kind: Kind = Kind.INTERNAL) -> Work:
    """Return a part of the work at hand."""
    if _now.collector is None:
        return UNTRACED
    parent = _at_hand.get()
    return UNTRACED if parent is None else parent.child(name, time.time_ns(), kind)


def at_hand() -> Work:
    """Return the work at hand, to note something of it."""
    return UNTRACED if _now.collector is None else _at_hand.get() or UNTRACED


def _random_id() -> int:
    return secrets.randbits(64) or 1
