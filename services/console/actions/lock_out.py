"""Refusing a policy that would shut out whoever applies it (I/O: the ban of their address in Redis).

On failure: ActionError with the proof. Where bans cannot be seen nobody counts as banned, as at the console's gate.
"""

import time

from services.console.actions.desk import ActionError, Desk
from services.console.lockout import PASSED_OVER, find_lockout
from shared.bans import Ban, ban_key, decode_ban, subject_of
from shared.policy import Policy
from shared.state.open import open_state
from shared.state.port import StateUnavailable


async def must_not_lock_out(desk: Desk, policy: Policy) -> tuple[str, ...]:
    """Raise ActionError for a policy that would lock the caller out; return what else is to be said of it."""
    if not desk.caller.address:
        return (PASSED_OVER,)
    proof = await lock_out(desk, policy)
    if proof is not None:
        raise ActionError(proof)
    return ()


async def lock_out(desk: Desk, policy: Policy) -> str | None:
    """Return how a policy would lock the caller out, None if it would not, or if nobody can say."""
    address = desk.caller.address
    try:
        return find_lockout(policy, address, await ban_of(desk, address), time.time())
    except ValueError:
        # Nothing with an address: a socket on the console's own host.
        return None


async def ban_of(desk: Desk, address: str) -> Ban | None:
    """Return the ban of an address, None where there is none, or none that can be seen."""
    if desk.settings.redis is None:
        return None
    state = open_state(desk.settings.redis)
    await state.start()
    try:
        value = (await state.get([ban_key(subject_of(address))]))[0]
    except StateUnavailable:
        return None
    finally:
        await state.close()
    return decode_ban(value) if value is not None else None
