"""Posting reports to the URLs that records name (I/O: https).

Standards: RFC 8460 §5.4. Deliberately, the server's certificate must hold, though the standard does not ask for it:
nobody else is to read whom our mail goes to.
Decided here: as for mail, DNS leads us to no private or loopback address and not to this machine; redirects are not
followed; no proxy, whatever the environment says; of the answer, only its status is read.
On failure: PostFailed, which says why.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
from yarl import URL

from shared.dns.answer import Resolver
from shared.dns.for_https import AddressesForHttps, https_session
from shared.dns.reach import may_connect as is_elsewhere

DEADLINE_S = 30.0


class PostFailed(Exception):
    """The report was not taken."""


class Poster:
    """Posts reports. authorities: the file of those that are trusted, else the system's."""

    def __init__(
        self,
        resolver: Resolver,
        may_connect: Callable[[str], bool] = is_elsewhere,
        *,
        authorities: Path | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._resolver = AddressesForHttps(resolver, may_connect)
        self._authorities = authorities
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, report: bytes) -> None:
        """Post a compressed report. Raises PostFailed."""
        try:
            async with (
                asyncio.timeout(self._deadline_s),
                self._open().post(
                    URL(url, encoded=True),
                    data=report,
                    headers={"Content-Type": "application/tlsrpt+gzip"},
                    allow_redirects=False,
                ) as response,
            ):
                status = response.status
        except TimeoutError:
            raise PostFailed(f"{url} did not answer in time") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise PostFailed(f"the certificate of {url} does not hold: {error.certificate_error}") from None
        except aiohttp.ClientConnectorError as error:  # DNS, TCP, and a handshake that failed otherwise
            raise PostFailed(f"{url}: {error.os_error}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PostFailed(f"{url}: {error or type(error).__name__}") from None
        # RFC 8460 §5.4: "successful" is typically 200 or 201.
        if not 200 <= status < 300:
            raise PostFailed(f"{url} answered {status}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        # Not at the start, since most never need it: reading the authorities takes its time.
        if self._session is None or self._session.closed:
            self._session = https_session(self._resolver, self._authorities, {"User-Agent": "Gatepost"})
        return self._session
