"""Boxes and arrows of a picture (PURE)."""

from dataclasses import dataclass
from enum import StrEnum


class Look(StrEnum):
    """How a box is drawn: its class in the stylesheet."""

    OUTSIDE = "outside"
    STAGE = "stage"
    QUEUE = "queue"


class Level(StrEnum):
    """How what it stands for is."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    CALM = "calm"


@dataclass(frozen=True, slots=True)
class Box:
    """A box with its words. lines: below the title, few and short."""

    x: int
    y: int
    width: int
    height: int
    look: Look
    level: Level
    title: str
    lines: tuple[str, ...]

    @property
    def middle(self) -> int:
        """The x of its middle."""
        return self.x + self.width // 2

    @property
    def right(self) -> int:
        """The x of its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The y of its lower side."""
        return self.y + self.height

    @property
    def centre(self) -> int:
        """The y of its middle."""
        return self.y + self.height // 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line with a head at its last point. label: beside it, at `at`; anchor as in SVG."""

    points: tuple[tuple[int, int], ...]
    label: str = ""
    at: tuple[int, int] = (0, 0)
    anchor: str = "middle"
    side: bool = False

    @property
    def path(self) -> str:
        """The path in SVG's words."""
        return "M" + " L".join(f"{x} {y}" for x, y in self.points)

    @property
    def head(self) -> str:
        """The head, a triangle, as points of a polygon."""
        (x0, y0), (x, y) = self.points[-2:]
        dx, dy = _sign(x - x0), _sign(y - y0)
        back_x, back_y = x - 8 * dx, y - 8 * dy
        return f"{x},{y} {back_x + 4 * dy},{back_y + 4 * dx} {back_x - 4 * dy},{back_y - 4 * dx}"


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole picture of this size."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
