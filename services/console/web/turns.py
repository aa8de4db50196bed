"""Turns at what is dear to do (in memory of this process): so many at once, and so many a minute for each user.

Owns: `Turns`, one per application.
On failure: TooOften, with the seconds to wait.
"""

import contextlib
import math
from collections import deque
from collections.abc import Iterator

from fastapi import Request

from services.console.actions.desk import ActionError

AT_ONCE = 3
OF_ONE_AT_ONCE = 1
WINDOW_S = 60.0
IN_WINDOW = 12


class TooOften(ActionError):
    """Not now. wait_s: whole seconds until it may be asked again."""

    status = 429

    def __init__(self, text: str, wait: float) -> None:
        self.wait_s = max(1, math.ceil(wait))
        super().__init__(f"{text}: ask again in {self.wait_s} s")


class Turns:
    """Who has a turn now, and who had one lately."""

    def __init__(self) -> None:
        self._lately: dict[str, deque[float]] = {}
        self._now: dict[str, int] = {}

    @contextlib.contextmanager
    def taken(self, who: str, now: float) -> Iterator[None]:
        """Hold a turn for the length of a `with`. now: Unix seconds. Raises TooOften."""
        self._forget(now)
        lately = self._lately.get(who, deque())
        if len(lately) >= IN_WINDOW:
            raise TooOften(f"{IN_WINDOW} a minute are what one user has", lately[0] + WINDOW_S - now)
        if self._now.get(who, 0) >= OF_ONE_AT_ONCE:
            raise TooOften("one of yours is under way", 5)
        if sum(self._now.values()) >= AT_ONCE:
            raise TooOften(f"{AT_ONCE} are under way", 5)
        lately.append(now)
        self._lately[who] = lately
        self._now[who] = self._now.get(who, 0) + 1
        try:
            yield
        finally:
            self._now[who] -= 1
            if not self._now[who]:
                del self._now[who]

    def _forget(self, now: float) -> None:
        for who, times in list(self._lately.items()):
            while times and times[0] <= now - WINDOW_S:
                times.popleft()
            if not times:
                del self._lately[who]


def turns_of(request: Request) -> Turns:
    """Return the turns of the application."""
    found = getattr(request.app.state, "turns", None)
    if found is None:
        found = request.app.state.turns = Turns()
    assert isinstance(found, Turns)
    return found
