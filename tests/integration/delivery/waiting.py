"""Waiting for what another process does, which tells nobody: looked at often, for a bounded time."""

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], deadline_s: float = 20.0) -> None:
    """Return once it holds. Raises TimeoutError."""
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline_s:g} s")
        time.sleep(0.05)
