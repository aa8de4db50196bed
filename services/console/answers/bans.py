"""Bans, and the lengths of time that people type (PURE)."""

import re
from dataclasses import dataclass

from services.console.actions.errors import ActionError
from shared.bans import Ban

LONGEST_S = 10 * 365 * 86_400
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"([1-9][0-9]{0,8})(s|min|h|d)\Z")


@dataclass(frozen=True, slots=True)
class Banned:
    """One ban in force. subject: an IPv4 address or an IPv6 /64. left_s: how long it still lasts."""

    subject: str
    ban: Ban
    left_s: float


@dataclass(frozen=True, slots=True)
class Lifted:
    """Who is not banned any more."""

    subject: str


def parse_length(text: str) -> int:
    """Return the seconds of `90s`, `15min`, `12h` or `7d`. Raises ActionError."""
    matched = _LENGTH.match(text)
    if matched is None or int(matched[1]) * _UNITS[matched[2]] > LONGEST_S:
        raise ActionError(f"{text[:40]!r} is not a length of time: write 90s, 15min, 12h or 7d")
    return int(matched[1]) * _UNITS[matched[2]]
