"""Whether any content process lives (PURE: the time is an argument)."""

import json

ALIVE_FOR_S = 6.0
_PROCESSES_LIMIT = 1000


class Heartbeats:
    """The last heartbeat of each content process. Times: monotonic seconds of this host."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._listening_since = float("-inf")

    def listen(self, now: float) -> None:
        """Begin to listen (anew): for a while nobody could have been heard, so content counts as alive."""
        self._listening_since = now

    def heard(self, body: bytes, now: float) -> None:
        """Take a heartbeat, `{"key": …, "at": …}`. Raises ValueError."""
        beat = json.loads(body)
        if not isinstance(beat, dict) or not isinstance(beat.get("key"), str):
            raise ValueError("a heartbeat is an object with a key")  # noqa: TRY004  (unreadable input)
        self._last[beat["key"]] = now
        if len(self._last) > _PROCESSES_LIMIT:
            self._last = {key: at for key, at in self._last.items() if now - at <= ALIVE_FOR_S}

    def alive(self, now: float) -> int:
        """Return how many content processes were heard lately."""
        return sum(now - at <= ALIVE_FOR_S for at in self._last.values())

    def worth_waiting(self, now: float) -> bool:
        """Whether a verdict can be expected."""
        return now - self._listening_since <= ALIVE_FOR_S or any(now - at <= ALIVE_FOR_S for at in self._last.values())
