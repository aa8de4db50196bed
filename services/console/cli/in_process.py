"""The application asked in this process (I/O: none of its own; no socket).

Owns: `InProcess`, a transport of httpx that gives an answer's parts as they come; httpx's own waits for the last one,
and a stream of events has none.
On failure: what the application raises before its answer begins is raised to whoever asks.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Scope


class InProcess(httpx.AsyncBaseTransport):
    """A way to an application without a socket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Give the application a request, and return its answer once it has begun."""
        exchange = _Exchange(self._app, _scope(request), await request.aread())
        head = await exchange.head()
        return httpx.Response(head["status"], headers=head["headers"], stream=exchange)


class _Exchange(httpx.AsyncByteStream):
    """One request and its answer. The application runs as a task, and ends when the answer is closed."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self._body: bytes | None = body
        self._closed = asyncio.Event()
        # One part at a time: the application waits until it is read.
        self._said: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._task = asyncio.create_task(self._run(app, scope))

    async def head(self) -> Message:
        """Return the beginning of the answer."""
        said = await self._said.get()
        if said is None:
            await self._task
            raise httpx.RemoteProtocolError("no answer came")
        return said

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts of the answer's body."""
        while (said := await self._said.get()) is not None:
            yield said.get("body", b"")
            if not said.get("more_body", False):
                break
        # What the application did not expect is told as it is: there is no log here.
        await self._task

    async def aclose(self) -> None:
        """End the exchange."""
        self._closed.set()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._task

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._said.put)
        finally:
            if not self._closed.is_set():
                await self._said.put(None)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._closed.wait()
        return {"type": "http.disconnect"}


def _scope(request: httpx.Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": None,
        "root_path": "",
    }
