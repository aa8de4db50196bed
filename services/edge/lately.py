"""What this process did lately and need not do again yet (PURE; the time is an argument).

Owns: yes or no by key, until a time. Bound: so many keys; those that were noted first go first.
"""


class Lately:
    """Keys with what came of them."""

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._known: dict[str, tuple[bool, float]] = {}

    def get(self, key: str, now: float) -> bool | None:
        """Return what was noted, None if nothing was, or its time is over."""
        found = self._known.get(key)
        return found[0] if found is not None and found[1] > now else None

    def note(self, key: str, came_of_it: bool, until: float) -> None:
        """Note what came of a key."""
        self._known.pop(key, None)
        while len(self._known) >= self._max_keys:
            del self._known[next(iter(self._known))]
        self._known[key] = (came_of_it, until)

    def forget(self, key: str) -> None:
        """Forget a key."""
        self._known.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
