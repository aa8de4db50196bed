"""A gate with its own way to the policy and the bans, for a process that has no other use for them (I/O).

Owns: a link to the broker on which only the policy is read, and the shared state where the settings name one.
On failure: as shared/gate.py; the link goes on trying.
"""

from shared.broker.connect import Link
from shared.broker.in_force import PolicyInForce
from shared.gate import Gate
from shared.settings import ServiceSettings
from shared.state.open import open_state


class LoneGate:
    """The gate of a parent of workers. name: of the service."""

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        self._link = Link(settings.broker, f"{name}-health@{settings.hostname}")
        self._state = open_state(settings.redis) if settings.redis is not None else None
        self.gate = Gate(PolicyInForce(self._link), self._state)

    async def start(self) -> None:
        """Begin to follow the policy."""
        if self._state is not None:
            await self._state.start()
        self._link.start()

    async def close(self) -> None:
        """Give back what it holds."""
        await self._link.close()
        if self._state is not None:
            await self._state.close()
