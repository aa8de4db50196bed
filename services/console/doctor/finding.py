"""One thing that the doctor saw (PURE)."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. warning: it runs, and will not for ever. wrong: mail is or can be held up."""

    GOOD = "good"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """topic: what was looked at. mend: what to do, a command where there is one."""

    level: Level
    topic: str
    text: str
    mend: str = ""


def good(topic: str, text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Level.GOOD, topic, text)


def warning(topic: str, text: str, mend: str) -> Finding:
    """Return a finding that will need something."""
    return Finding(Level.WARNING, topic, text, mend)


def wrong(topic: str, text: str, mend: str) -> Finding:
    """Return a finding that needs something now."""
    return Finding(Level.WRONG, topic, text, mend)
