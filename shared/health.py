"""`/metrics`, `/healthz` and `/readyz` of a service (I/O: a small HTTP/1.1 server on asyncio streams).

healthz: the process serves its event loop. readyz: 200 while all its conditions hold, else 503 naming those that don't;
a condition that raises does not hold.
Beside "ready" stands the version of the policy that the process runs, as `/metrics` has it.
gate: who may connect at all; the others' connections are closed without a word.
On failure: a request that is not a plain GET gets 405 or 400; a connection has a deadline and ends after one answer.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from email.utils import formatdate

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

import shared.build  # noqa: F401 – its metric stands beside all others
from shared.gate import Gate
from shared.policy.access import Service
from shared.settings import HealthSettings

_log = structlog.get_logger()
Conditions = Mapping[str, Callable[[], bool]]
_DEADLINE_S = 5.0
_REQUEST_LIMIT = 4096
_STATUS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HealthServer:
    """Serves one process's health; port 0 takes a free one (`port` tells which).

    policy_version: of what is in force, 0 for none; not told where there is no such function.
    """

    def __init__(
        self,
        settings: HealthSettings,
        conditions: Conditions,
        registry: CollectorRegistry = REGISTRY,
        gate: Gate | None = None,
        policy_version: Callable[[], int] | None = None,
    ) -> None:
        self._settings = settings
        self._conditions = conditions
        self._registry = registry
        self._gate = gate
        self._policy_version = policy_version
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Begin to listen. Raises OSError if the port is taken."""
        self._server = await asyncio.start_server(
            self._serve, self._settings.address, self._settings.port, limit=_REQUEST_LIMIT
        )

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_DEADLINE_S):
                    if not await self._admits(writer):
                        return
                    status, content_type, body = self._answer(await _request_line(reader))
                    head = (
                        f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: {content_type}\r\n"
                        f"Content-Length: {len(body)}\r\nDate: {formatdate(usegmt=True)}\r\n"
                        "Connection: close\r\n\r\n"
                    )
                    writer.write(head.encode() + body)
                    await writer.drain()
        finally:
            writer.close()

    async def _admits(self, writer: asyncio.StreamWriter) -> bool:
        if self._gate is None:
            return True
        peer = writer.get_extra_info("peername")
        return bool(peer) and await self._gate.admits(str(peer[0]), Service.METRICS)

    def _answer(self, request: str | None) -> tuple[int, str, bytes]:
        text = "text/plain; charset=utf-8"
        match (request or "").split(" "):
            case ["GET", "/healthz", _]:
                return 200, text, b"ok\n"
            case ["GET", "/readyz", _]:
                missing = [name for name, condition in self._conditions.items() if not _holds(name, condition)]
                said = f"not ready: {', '.join(missing)}" if missing else "ready"
                return 503 if missing else 200, text, f"{said}\n{self._policy_line()}".encode()
            case ["GET", "/metrics", _]:
                return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
            case ["GET", _, _]:
                return 404, text, b"not found\n"
            case [_, _, _]:
                return 405, text, b"only GET\n"
            case _:
                return 400, text, b"bad request\n"

    def _policy_line(self) -> str:
        return "" if self._policy_version is None else f"policy version {self._policy_version()}\n"


def _holds(name: str, condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except Exception:  # a defect must not look like a service that does not answer
        _log.exception("condition-failed", condition=name)
        return False


async def _request_line(reader: asyncio.StreamReader) -> str | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return None
    return head.split(b"\r\n", 1)[0].decode("latin-1")
