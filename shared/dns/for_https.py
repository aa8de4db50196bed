"""https to hosts that strangers name (I/O): names as all of Gatepost sees them, and only addresses that may be used.

No proxy is used, whatever the environment says, no cookie kept, and nothing unpacked.

The resolver is not asked about addresses in URLs: whoever makes a URL of what strangers say must refuse those.
On failure: OSError, as aiohttp expects it.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.dns.answer import BadName, DnsTemporary, Resolver

_CONNECT_S = 10.0
# Of the status line and of each header field.
_FIELD_LIMIT_BYTES = 8_190


def https_session(
    resolver: "AddressesForHttps", authorities: Path | None, headers: Mapping[str, str]
) -> aiohttp.ClientSession:
    """Return a session; its user sets the deadline. authorities: the file of those trusted, else the system's."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    connector = aiohttp.TCPConnector(ssl=context, resolver=resolver, limit=0, force_close=True, use_dns_cache=False)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        trust_env=False,
        auto_decompress=False,
        max_line_size=_FIELD_LIMIT_BYTES,
        max_field_size=_FIELD_LIMIT_BYTES,
        headers=headers,
    )


class AddressesForHttps(AbstractResolver):
    """Looks up hosts. may_connect: whether an address that DNS gave may be connected to; None: any may."""

    def __init__(self, resolver: Resolver, may_connect: Callable[[str], bool] | None) -> None:
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
                if self._may_connect is None or self._may_connect(address)
            ]
        if not found:
            raise OSError(silent or f"{host} has no {'public ' if self._may_connect else ''}address")
        return found

    async def close(self) -> None:
        """Nothing to close: the resolver is the process's."""
