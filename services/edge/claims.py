"""Whether a message is its sender's own, by SPF (I/O through the resolver).

Owns: how long edge waits for SPF, and how many evaluations that nobody waits for run at once.
Standards: RFC 7208.
On failure: what cannot be evaluated in time proves nothing.
"""

import asyncio
from dataclasses import dataclass

from shared.auth.spf_check import check_spf
from shared.auth.spf_result import SpfWord
from shared.dns.answer import Resolver

_DEADLINE_S = 5.0
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Claim:
    """Who says to send for whom. address: the client's. helo: what it calls itself. sender: of MAIL FROM."""

    address: str
    helo: str
    sender: str


class Claims:
    """The evaluations of this process. hostname: our own name, for the macro %{r}."""

    def __init__(self, resolver: Resolver, hostname: str) -> None:
        self._resolver = resolver
        self._hostname = hostname
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def is_proved(self, claim: Claim) -> bool:
        """Return whether SPF passes."""
        try:
            async with asyncio.timeout(_DEADLINE_S):
                result = await check_spf(self._resolver, claim.address, claim.helo, claim.sender, self._hostname)
        except TimeoutError:
            return False
        return result.word is SpfWord.PASS

    async def is_proved_in_turn(self, claim: Claim) -> bool:
        """Return the same for work that no client waits for."""
        async with self._slots:
            return await self.is_proved(claim)
