"""Runs an engine in the foreground for a process manager (I/O: signals).

Output: exit 0 after SIGTERM or SIGINT, 1 where the engine ended by itself, so that it is started again.
"""

import signal
import sys
from types import FrameType
from typing import NoReturn, Protocol


class Engine(Protocol):
    """What can be run: RabbitMQ's node, clamd."""

    def start(self) -> None:
        """Start it without waiting."""

    def terminate(self) -> None:
        """Tell it to end."""

    def wait_end(self) -> None:
        """Return when it has ended."""

    def stop(self) -> None:
        """End it and whatever belongs to it."""


def run_until_told(engine: Engine) -> NoReturn:
    """Run an engine until a signal, or until it ends by itself; then exit."""
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        engine.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        engine.start()
        # A signal that came while it started found nothing to end.
        if not told:
            engine.wait_end()
    finally:
        engine.stop()
    sys.exit(0 if told else 1)
