"""When a report on TLS is sent, tried again and given up (PURE). Times are Unix seconds.

Standards: RFC 8460 §4.1 (not all at midnight), §5.5 (for a day, after ever longer pauses).
"""

import hashlib

from services.console.reports.days import ROUND_S, SETTLED_S
from shared.dmarc_seen import DAY_S

# RFC 8460 §4.1: a random delay of up to four hours, so that receivers do not get all reports at once.
SPREAD_S = 4 * 3600 - SETTLED_S
GIVE_UP_S = 86_400.0
_LONGEST_PAUSE_S = 4 * 3600.0


def first_try_at(day: int, domain: str, hostname: str) -> float:
    """Return when the report of a domain's day may go: another time for each domain and each reporter."""
    digest = hashlib.sha256(f"{hostname} {domain}".encode()).digest()
    return (day + 1) * DAY_S + SETTLED_S + int.from_bytes(digest[:4], "big") % SPREAD_S


def next_try_at(first: float, now: float) -> float | None:
    """Return when a report that was not taken is tried again, None to give it up."""
    waited = max(0.0, now - first)
    # RFC 8460 §5.5: up to 24 hours.
    if waited >= GIVE_UP_S:
        return None
    return now + min(max(waited, ROUND_S), _LONGEST_PAUSE_S)
