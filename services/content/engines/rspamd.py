"""Rspamd over HTTP (I/O).

Owns: `RspamdBackend`: one pool of connections per worker, over which each message is asked about once (POST /checkv2).
Connections are kept where the other side keeps them; Rspamd 3.4 itself closes each, a proxy before it may not.
Input: `SpamRequest`. Output: `SpamReport`.
On failure: SpamError for whatever is no complete, well-formed answer of at most MAX_REPLY_BYTES; other addresses are
tried by failover.py.
"""

import io
from dataclasses import replace

import aiohttp

from services.content.engines.cut import beginning
from services.content.engines.rspamd_reply import ENGINE, read_reply
from services.content.engines.rspamd_request import request_headers
from services.content.spam import SpamError, SpamReport, SpamRequest

MAX_REPLY_BYTES = 262_144
_CONNECT_S = 2.0
_KEEP_S = 30.0
# aiohttp writes bytes at once and a stream in pieces, which lets other tasks run between them.
_BIG_BYTES = 500_000


class RspamdBackend:
    """Rspamd's scanning workers. connections: at a time to each address. hostname: ours.

    max_bytes: of a larger message the beginning is given: a text of 20 MB holds one up for 4 to 15 s, and with it all
    mail that waits behind.
    """

    name = ENGINE

    def __init__(self, connections: int, hostname: str, max_bytes: int) -> None:
        self._connections = connections
        self._hostname = hostname
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, address: str, request: SpamRequest) -> SpamReport:
        """Return what the Rspamd at an address says of a message. Raises SpamError."""
        given = beginning(request.message, self._max_bytes)
        try:
            status, body = await self._ask(f"http://{address}/checkv2", request_headers(request, self._hostname), given)
        except TimeoutError:
            raise SpamError(f"{ENGINE} at {address} takes no connection") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SpamError(f"{ENGINE} at {address} gave no answer: {type(error).__name__}") from None
        if status != 200:
            raise SpamError(f"{ENGINE} at {address} answered with HTTP status {status}")
        report = read_reply(body)
        return report if len(given) == len(request.message) else replace(report, examined_bytes=len(given))

    async def close(self) -> None:
        """End all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, url: str, headers: list[tuple[str, str]], data: bytes) -> tuple[int, bytes]:
        try:
            return await self._post(url, headers, data)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # A kept connection may have ended while it was idle: once more on another. To ask twice does no harm.
            return await self._post(url, headers, data)

    async def _post(self, url: str, headers: list[tuple[str, str]], data: bytes) -> tuple[int, bytes]:
        body = data if len(data) < _BIG_BYTES else io.BytesIO(data)
        async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as response:
            try:
                return response.status, await _read(response)
            except BaseException:
                # What is left of it on the wire is of no use to anybody.
                response.close()
                raise

    def _open(self) -> aiohttp.ClientSession:
        # A session belongs to a running event loop, which there is not when a worker is wired.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._connections, keepalive_timeout=_KEEP_S),
                # The caller bounds the whole.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity", "User-Agent": "gatepost"},
                auto_decompress=False,
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_REPLY_BYTES:
            raise SpamError(f"{ENGINE} answered with more than {MAX_REPLY_BYTES} octets")
    return bytes(body)
