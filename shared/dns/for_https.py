"""Our own resolver, as aiohttp asks one (I/O): names as all of Gatepost sees them, and only addresses that may be used.

It is not asked about addresses in URLs: whoever makes a URL of what strangers say must refuse those.
On failure: OSError, as aiohttp expects it.
"""

import socket
from collections.abc import Callable

from aiohttp.abc import AbstractResolver, ResolveResult

from shared.dns.answer import BadName, DnsTemporary, Resolver


class AddressesForHttps(AbstractResolver):
    """Looks up hosts. may_connect: whether an address that DNS gave may be connected to."""

    def __init__(self, resolver: Resolver, may_connect: Callable[[str], bool]) -> None:
        self._resolver = resolver
        self._may_connect = may_connect

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return where a host may be connected to. Raises OSError."""
        found: list[ResolveResult] = []
        silent = ""
        for rdtype, version in (("A", socket.AF_INET), ("AAAA", socket.AF_INET6)):
            if family not in (socket.AF_UNSPEC, version):
                continue
            try:
                answer = await self._resolver.lookup(host, rdtype)
            except (DnsTemporary, BadName) as error:
                silent = str(error)
                continue
            found += [
                ResolveResult(
                    hostname=host, host=address, port=port, family=version, proto=0, flags=socket.AI_NUMERICHOST
                )
                for address in answer.addresses()
                if self._may_connect(address)
            ]
        if not found:
            raise OSError(silent or f"{host} has no public address")
        return found

    async def close(self) -> None:
        """Nothing to close: the resolver is the process's."""
