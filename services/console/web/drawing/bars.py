"""What became of mail, as stacked bars over time (PURE).

Input: `Outcomes`. Output: `Bars`: rectangles, ticks and labels of an SVG of a given size, and the same as a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from services.console.pulse.facts import Outcomes
from services.console.rows import State


class Group(StrEnum):
    """What a part of a bar stands for, from the bottom up. The value is what people read."""

    DELIVERED = "delivered"
    UNDER_WAY = "on its way"
    QUARANTINED = "quarantined"
    DEFERRED = "deferred"
    REFUSED = "refused"
    FAILED = "failed"
    ENDED = "ended by order"

    @property
    def css(self) -> str:
        """Its class in the stylesheet."""
        return "is-" + self.value.replace(" ", "-")


_GROUP_OF = {
    State.DELIVERED: Group.DELIVERED,
    State.RECEIVED: Group.UNDER_WAY,
    State.ACCEPTED: Group.UNDER_WAY,
    State.QUEUED: Group.UNDER_WAY,
    State.RETRYING: Group.UNDER_WAY,
    State.RELEASED: Group.UNDER_WAY,
    State.QUARANTINED: Group.QUARANTINED,
    State.DEFERRED: Group.DEFERRED,
    State.REFUSED: Group.REFUSED,
    State.FAILED: Group.FAILED,
    State.CANCELLED: Group.ENDED,
    State.DELETED: Group.ENDED,
}
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 12, 26


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar."""

    group: Group
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of time. said: what it shows, in words."""

    x: float
    width: float
    pieces: tuple[Piece, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across, or a time below. at: y or x."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A whole plot. left, right, top, bottom: the sides of the field where the bars stand."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    times: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One step as a row of the table. at: when it begins."""

    at: float
    counts: Mapping[Group, int]


def rows(outcomes: Outcomes, merged: int = 1) -> list[Row]:
    """Return the steps, so many of them merged into one. What was split is counted by its parts."""
    made = []
    for first in range(0, len(outcomes.counts), merged):
        counts = dict.fromkeys(Group, 0)
        for step in outcomes.counts[first : first + merged]:
            for state, count in step.items():
                group = _GROUP_OF.get(State(state)) if state in _STATES else None
                if group is not None:
                    counts[group] += count
        made.append(Row(outcomes.since + first * outcomes.step_s, counts))
    return made


_STATES = frozenset(State)


def totals(found: Sequence[Row]) -> dict[Group, int]:
    """Return the sums of a table."""
    return {group: sum(row.counts[group] for row in found) for group in Group}


def bars(found: Sequence[Row], step_s: float, width: int, height: int, hours: int) -> Bars:
    """Return the plot of a table. hours: between two times below it."""
    left, right, top, bottom = _LEFT, width - _RIGHT, _TOP, height - _BOTTOM
    most = nice(max((sum(row.counts.values()) for row in found), default=0))
    pitch = (right - left) / max(len(found), 1)
    drawn = tuple(
        _bar(row, step_s, left + place * pitch, pitch, (top, bottom), most) for place, row in enumerate(found)
    )
    ticks = tuple(Tick(bottom - (bottom - top) * part / 4, short(most * part // 4)) for part in (0, 2, 4))
    times = tuple(
        Tick(left + place * pitch, _clock(row.at)) for place, row in enumerate(found) if row.at % (hours * 3600) == 0
    )
    return Bars(width, height, left, right, top, bottom, drawn, ticks, times)


def nice(most: int) -> int:
    """Return a round number at or above another, that can be halved twice."""
    scale = 1
    while True:
        for step in (4, 8, 12, 20):
            if most <= step * scale:
                return step * scale
        scale *= 10


def short(number: int) -> str:
    """Return a number for the side of a plot."""
    return f"{number / 1000:g}k" if number >= 10_000 else str(number)


def _bar(row: Row, step_s: float, x: float, pitch: float, field: tuple[int, int], most: int) -> Bar:
    top, bottom = field
    pieces: list[Piece] = []
    y = float(bottom)
    for group, count in row.counts.items():
        if count:
            height = (bottom - top) * count / most
            y -= height
            pieces.append(Piece(group, round(y, 2), round(height, 2)))
    said = ", ".join(f"{count} {group.value}" for group, count in row.counts.items() if count) or "no mail"
    return Bar(
        round(x + pitch * 0.1, 2),
        round(pitch * 0.8, 2),
        tuple(pieces),
        f"{_clock(row.at)}-{_clock(row.at + step_s)}: {said}",
    )


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")
