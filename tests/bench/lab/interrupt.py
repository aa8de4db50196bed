"""Owns what Ctrl-C and SIGTERM do to a run: it ends in order, with all that was started stopped."""

import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_in_order() -> None:
    """Raise KeyboardInterrupt in the main thread at the first signal; further ones must not disturb the stopping."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
