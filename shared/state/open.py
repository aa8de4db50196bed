"""Which state a service uses (I/O through what it makes): Redis where the settings name one, else its own memory."""

from typing import Protocol

from shared.settings import RedisSettings
from shared.state.fallback import FallbackState
from shared.state.memory import MemoryState
from shared.state.port import State


class OwnedState(State, Protocol):
    """State, and what its owner does with it: start it before use, close it at the end."""

    async def start(self) -> None:
        """Make it ready; never fails."""

    async def close(self) -> None:
        """Give back what it holds."""


def open_state(settings: RedisSettings | None) -> OwnedState:
    """Return the state to use, not yet started. None: one process alone."""
    return MemoryState() if settings is None else FallbackState(settings)
