"""The state that the stages share, as an administrator's command reaches it (I/O: Redis)."""

import contextlib
from collections.abc import AsyncIterator

from services.console.actions.desk import ActionError, Desk
from shared.state.open import open_state
from shared.state.port import State, StateUnavailable


@contextlib.asynccontextmanager
async def shared_state(desk: Desk, without: str) -> AsyncIterator[State]:
    """Give the shared state. without: what to say where the settings name no Redis. Raises ActionError."""
    settings = desk.settings.redis
    if settings is None:
        raise ActionError(without)
    state = open_state(settings)
    await state.start()
    try:
        yield state
    except StateUnavailable as error:
        raise ActionError(f"Redis at {settings.host}:{settings.port} cannot be reached: {error}") from None
    finally:
        await state.close()
