"""One thing that the doctor saw (PURE)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. aside: not looked at, for a reason that is none of a fault. warning: it runs, and will not for
    ever. wrong: mail is or can be held up.
    """

    GOOD = "good"
    ASIDE = "aside"
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


def aside(topic: str, text: str) -> Finding:
    """Return that something was not looked at, and why."""
    return Finding(Level.ASIDE, topic, f"not looked at: {text}")


def warning(topic: str, text: str, mend: str) -> Finding:
    """Return a finding that will need something."""
    return Finding(Level.WARNING, topic, text, mend)


def wrong(topic: str, text: str, mend: str) -> Finding:
    """Return a finding that needs something now."""
    return Finding(Level.WRONG, topic, text, mend)


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.level is not Level.WRONG for finding in findings)
