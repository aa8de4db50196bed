"""The nameservers together: which is asked, in which order, for how long, and how many questions at a time.

Input: a canonical name and type. Output: what the first server that answers says. Standards: RFC 1035 §7.2 (retries).
On failure: Unusable, with the cause per server.
"""

import asyncio
from collections.abc import Callable, Sequence

import dns.exception

from shared.dns.chain import Step, Unusable, step_in_response
from shared.dns.nameserver import Nameserver, exchange, new_query

# The parts of a lookup's time for each round through the servers. The first is short, for a lost packet; the last long,
# for a name that takes the nameserver itself some work. What is left is for queueing.
_ROUNDS = (0.15, 0.3, 0.5)

# Every question in flight holds a socket. What stayed silent once is asked again in a lane of its own, so that the
# retries of dead nameservers keep no place from the first questions of others.
_MAX_FIRST = 256
_MAX_RETRIES = 128


class Upstream:
    """The nameservers of one resolver."""

    def __init__(self, servers: Sequence[Nameserver], timeout_s: float, is_ours: Callable[[str], bool]) -> None:
        self._servers = list(servers)
        self._timeout_s = timeout_s
        self._is_ours = is_ours
        self._first = asyncio.Semaphore(_MAX_FIRST)
        self._retries = asyncio.Semaphore(_MAX_RETRIES)

    async def ask(self, name: str, rdtype: str) -> Step:
        """Return what the servers say. Raises Unusable once each has refused, or stayed silent in every round."""
        servers = list(self._servers)
        causes: dict[Nameserver, str] = {}
        lane = self._first
        for share in _ROUNDS:
            wait_s = self._timeout_s * share / max(len(servers), 1)
            silent = []
            for server in servers:
                try:
                    async with lane, asyncio.timeout(wait_s):
                        return await self._ask_one(server, name, rdtype)
                except TimeoutError:
                    causes[server] = "no answer"
                    silent.append(server)
                except (Unusable, OSError, EOFError, dns.exception.DNSException) as error:
                    causes[server] = str(error) or type(error).__name__
                self._ask_last(server)
            servers = silent
            lane = self._retries
        raise Unusable("; ".join(f"{server}: {cause}" for server, cause in causes.items()) or "no nameserver")

    async def _ask_one(self, server: Nameserver, name: str, rdtype: str) -> Step:
        response = await exchange(server, new_query(name, rdtype))
        # RFC 4035 §4.9.3: the AD bit counts only over a secure channel. Loopback is the only one that we have.
        return step_in_response(response, name, rdtype, trust_ad=server.is_local, is_ours=self._is_ours)

    def _ask_last(self, server: Nameserver) -> None:
        """Let the next lookups begin with another server than the one that just failed."""
        self._servers.remove(server)
        self._servers.append(server)
