"""What every answer carries to keep a browser safe, and who may connect at all (ASGI).

Standards: CSP level 3 (no inline script or style, nothing from elsewhere), RFC 6797 (HSTS), Fetch Metadata.
Whom the policy's access rules do not admit gets 403 without a body. A change that a page of another site asks for is
refused before anything looks at it.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.gate import Gate
from shared.policy.access import Service

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _CSP,
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guarded:
    """An application behind these rules. body_limit: octets of a request; larger: other limits, by path."""

    def __init__(
        self, app: ASGIApp, gate: Gate | None, body_limit: int, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._gate = gate
        self._body_limit = body_limit
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._body_limit)
        refusal = await self._refusal(scope, limit)
        answer = self._app if refusal is None else refusal
        await answer(scope, _bounded(receive, limit), _with_headers(scope, send))

    async def _refusal(self, scope: Scope, limit: int) -> PlainTextResponse | None:
        client = scope.get("client")
        if self._gate is not None and (not client or not await self._gate.admits(str(client[0]), Service.CONSOLE)):
            return PlainTextResponse("", 403)
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            return PlainTextResponse("the request is too large\n", 413)
        # Fetch Metadata: browsers say from which site a request comes; programs do not.
        if scope["method"] not in _SAFE and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return PlainTextResponse("this was asked for by another site\n", 403)
        return None


def _bounded(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        # A body without a length that goes on too long: for the application the client has gone.
        return {"type": "http.disconnect"} if taken > limit else message

    return receive_bounded


def _with_headers(scope: Scope, send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            kept = "public, max-age=31536000, immutable" if scope["path"].startswith("/static/") else "no-store"
            headers.setdefault("Cache-Control", kept)
        await send(message)

    return send_with_headers
