"""Fetching a domain's MTA-STS policy (I/O: HTTPS).

Output: `FetchedPolicy`, always, within a minute.
Standards: RFC 8461 §3.3 (certificate, no redirects, text/plain, a bound on size and time).
"""

import ssl
from pathlib import Path

import aiohttp

from services.console.domain_check.mta_sts import FetchedPolicy, policy_url
from shared.dns.answer import Resolver
from shared.dns.for_https import AddressesForHttps

_DEADLINE_S = 30.0
_LIMIT_BYTES = 64_000
_PORT = 443


class PolicyFetch:
    """Fetches policies. port, ca_file: those of a test server; else 443 and the system's authorities."""

    def __init__(self, resolver: Resolver, port: int = _PORT, ca_file: Path | None = None) -> None:
        self._resolver = resolver
        self._port = port
        self._ca_file = ca_file

    async def fetch(self, domain: str) -> FetchedPolicy:
        """Return the policy of a domain, or why there is none."""
        url = policy_url(domain)
        # Any address may be connected to: the administrator asks for a domain of his own.
        context = ssl.create_default_context(cafile=self._ca_file)
        connector = aiohttp.TCPConnector(
            ssl=context, resolver=AddressesForHttps(self._resolver, None), force_close=True
        )
        timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
        where = url if self._port == _PORT else url.replace("/.well-known", f":{self._port}/.well-known")
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(where, allow_redirects=False) as response,
            ):
                # RFC 8461 §3.3: redirects are not followed.
                if response.status != 200:
                    return FetchedPolicy(problem=f"it answers {response.status}")
                if response.content_type != "text/plain":
                    return FetchedPolicy(problem=f"its content type is {response.content_type[:60]}, not text/plain")
                content = await _bounded(response.content)
        except TimeoutError:
            return FetchedPolicy(problem=f"no answer within {_DEADLINE_S:g} s")
        except aiohttp.ClientConnectorCertificateError as error:
            return FetchedPolicy(problem=f"its certificate is not good: {error.certificate_error}"[:300])
        except aiohttp.ClientConnectorError as error:
            return FetchedPolicy(problem=f"no connection: {error.os_error}"[:300])
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return FetchedPolicy(problem=f"{error or type(error).__name__}"[:300])
        if content is None:
            return FetchedPolicy(problem=f"it is larger than {_LIMIT_BYTES} octets")
        return FetchedPolicy(content)


async def _bounded(content: aiohttp.StreamReader) -> bytes | None:
    """Return the whole of a body, or None if it is too large."""
    read = bytearray()
    async for piece in content.iter_chunked(8_192):
        read += piece
        if len(read) > _LIMIT_BYTES:
            return None
    return bytes(read)
