"""What needs somebody's hand, in plain words (PURE).

Input: `Status`. Output: `Alert`s, the worst first, each with what to do and where to look.
Nothing here asks anybody: what is not known gives no alert but that it is not known.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from services.console.pulse.alert import Alert, Severity
from services.console.pulse.alerts_around import of_surroundings
from services.console.pulse.alerts_pipeline import of_pipeline
from services.console.pulse.facts import Status

__all__ = ["Alert", "Severity", "judge"]


def judge(status: Status, seen: Mapping[str, float] | None = None) -> tuple[Alert, ...]:
    """Return the alerts, the worst first. seen: since when those are known that were there before, by their keys."""
    known = seen or {}
    order = list(Severity)
    found = {alert.key: alert for alert in chain(of_pipeline(status), of_surroundings(status))}
    dated = (replace(one, since=one.since or known.get(one.key, status.at)) for one in found.values())
    return tuple(sorted(dated, key=lambda one: (order.index(one.severity), one.since)))
