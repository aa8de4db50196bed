"""Accounts whose mail content holds back for sending spam (I/O: the shared state in Redis; SQL for the audit).

On failure: ActionError: no `[redis]` in the settings (brakes live in the memory of content then), or Redis is away.
"""

from services.console.actions.desk import ActionError, Desk
from services.console.actions.shared_state import shared_state
from services.console.answers.accounts import Braked
from shared.brake import BRAKE_PREFIX, brake_key

__all__ = ["Braked", "list_braked", "release_brake"]

_NO_REDIS = (
    "the settings have no [redis], so brakes live in the memory of content alone: they end by themselves after "
    "[brake] hold_s, and all of them when content is restarted"
)
_LIMIT = 10_000


async def list_braked(desk: Desk) -> list[Braked]:
    """Return the accounts that are held back, sorted by login. Raises ActionError."""
    async with shared_state(desk, _NO_REDIS) as state:
        entries = await state.find(BRAKE_PREFIX, _LIMIT)
    return [Braked(entry.key.removeprefix(BRAKE_PREFIX), entry.value, entry.left_s) for entry in entries]


async def release_brake(desk: Desk, login: str) -> None:
    """Let an account's mail pass again. Raises ActionError."""
    async with shared_state(desk, _NO_REDIS) as state:
        held = await state.forget(brake_key(login))
    if not held:
        raise ActionError(f"the mail of {login} is not held back: `gatepost account braked` lists whose is")
    async with desk.database.writing() as connection:
        await desk.note(connection, "account unbrake", login.lower())
