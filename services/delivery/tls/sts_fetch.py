"""Fetching the MTA-STS policy of a domain (I/O: https).

Input: a domain. Output: the octets of its policy file.
Standards: RFC 8461 §3.2 (where it is), §3.3 (https, certificate, no redirects, bounds).
Decided here: as for mail, DNS leads us to no private or loopback address and not to this machine; and to no proxy,
whatever the environment says.
On failure: FetchFailed, with what reports call it.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp

from shared.dns.answer import Resolver
from shared.dns.for_https import AddressesForHttps, https_session
from shared.tls_seen import TlsResult

# RFC 8461 §3.3: 64 kB and a minute are suggested.
SIZE_LIMIT_BYTES = 65_536
DEADLINE_S = 60.0


class FetchFailed(Exception):
    """There is no policy to be had now."""

    def __init__(self, reason: str, result: TlsResult = TlsResult.STS_FETCH) -> None:
        super().__init__(f"the policy cannot be fetched: {reason}")
        self.result = result


class PolicyFetcher:
    """Fetches policies. may_connect: whether an address that DNS gave may be connected to.

    authorities: the file of those that are trusted, else the system's. port: of https.
    """

    def __init__(
        self,
        resolver: Resolver,
        may_connect: Callable[[str], bool],
        *,
        authorities: Path | None = None,
        port: int = 443,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._resolver = AddressesForHttps(resolver, may_connect)
        self._authorities = authorities
        self._port = port
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, domain: str) -> bytes:
        """Return a domain's policy file. Raises FetchFailed."""
        host = f"mta-sts.{domain}"
        url = f"https://{host}:{self._port}/.well-known/mta-sts.txt"
        try:
            async with asyncio.timeout(self._deadline_s), self._open().get(url, allow_redirects=False) as response:
                return await _content(response)
        except TimeoutError:
            raise FetchFailed(f"{host} did not answer in time") from None
        except aiohttp.ClientConnectorCertificateError as error:
            reason = f"the certificate of {host} does not hold: {error.certificate_error}"
            raise FetchFailed(reason, TlsResult.STS_WEBPKI) from None
        except aiohttp.ClientConnectorError as error:  # DNS, TCP, and a handshake that failed otherwise
            raise FetchFailed(f"{host}: {error.os_error}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchFailed(f"{host}: {error or type(error).__name__}") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        # Not at the start, since most never need it: reading the authorities takes its time.
        if self._session is None:
            # The bound is on what arrives; what could be unpacked from it is none.
            headers = {"Accept": "text/plain", "Accept-Encoding": "identity"}
            self._session = https_session(self._resolver, self._authorities, headers)
        return self._session


async def _content(response: aiohttp.ClientResponse) -> bytes:
    # RFC 8461 §3.3: only 200; redirects are not followed.
    if response.status != 200:
        raise FetchFailed(f"{response.url.host} answered {response.status}")
    # RFC 8461 §3.2: what is not text/plain was not meant as a policy.
    if response.content_type != "text/plain":
        raise FetchFailed(f"the policy is {response.content_type[:80]!r}, not text/plain")
    content = b""
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > SIZE_LIMIT_BYTES:
            raise FetchFailed(f"the policy has more than {SIZE_LIMIT_BYTES} octets")
    return content
