"""Serving pages and API over TLS (I/O: uvicorn).

Owns: the listening socket, its limits, and looking whether the certificate was replaced.
On failure: SettingsError for a certificate that cannot be used, OSError for a port that is taken.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.console.settings import WebSettings
from services.console.web.certificate import WebCertificate

_log = structlog.get_logger()
_CONNECTIONS = 500
_IDLE_S = 20
_DRAIN_S = 5
_LOOK_EVERY_S = 10.0
_HEADER_LIMIT = 32_768


class WebServer:
    """One process's pages and API. Port 0 takes a free one (`port` tells which)."""

    def __init__(self, settings: WebSettings, hostname: str, app: ASGIApp) -> None:
        self._settings = settings
        self._certificate = WebCertificate(settings, hostname)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_DRAIN_S,
            h11_max_incomplete_event_size=_HEADER_LIMIT,
        )
        config.load()
        config.ssl = self._certificate.context
        self._server = _QuietServer(config)
        self._socket: socket.socket | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Begin to listen. Raises OSError if the port is taken."""
        family = socket.AF_INET6 if ":" in self._settings.address else socket.AF_INET
        self._socket = socket.create_server(
            (self._settings.address, self._settings.port), family=family, backlog=128, reuse_port=False
        )
        self._tasks = [
            asyncio.create_task(self._server.serve(sockets=[self._socket]), name="web"),
            asyncio.create_task(self._look_for_ever(), name="web-certificate"),
        ]
        _log.info("web-started", address=self._settings.address, port=self.port)

    @property
    def has_ended(self) -> bool:
        """Whether it serves no more, which it never should before `close`."""
        return any(task.done() for task in self._tasks)

    async def close(self) -> None:
        """Finish what is asked, and end."""
        self._server.should_exit = True
        if self._tasks:
            self._tasks[1].cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tasks[1]
            await self._tasks[0]
        if self._socket is not None:
            self._socket.close()

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._certificate.look()


class _QuietServer(uvicorn.Server):
    """Signals are the process's business, not the server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave all signals to whoever runs the loop."""
        yield
