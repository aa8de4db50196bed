"""The API as the command asks it (I/O: HTTPS, or the application itself on the console's own host).

Owns: `Api`: one way for all commands, whether the console is elsewhere or its settings are here; answers as the types
that the actions give.
On failure: ActionError with the API's own words; `Away` where there is no answer.
"""

import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from services.console.actions.errors import ActionError
from services.console.cli.target import Target
from services.console.web.cursor import LIMIT, Page

if TYPE_CHECKING:
    from services.console.settings import ConsoleSettings

Got = TypeVar("Got")
Nothing = type(None)
_ROOT = "/api/v1"
# A check of many domains, or a long order, takes its time; a connection does not.
_TIMEOUT = httpx.Timeout(120.0, connect=10.0)


class Away(ActionError):
    """The console does not answer."""


class Api:
    """What the commands ask. Given by `open_api`."""

    def __init__(self, client: httpx.AsyncClient, where: str) -> None:
        self._client = client
        self._where = where

    async def get(self, path: str, gives: type[Got], **params: object) -> Got:
        """Return what is at a path. params: None is left out."""
        return await self._ask("GET", path, gives, params=_given(params))

    async def post(self, path: str, gives: type[Got], body: object = None, **params: object) -> Got:
        """Do something and return what came of it."""
        return await self._ask("POST", path, gives, json=body, params=_given(params))

    async def hand_in(self, path: str, gives: type[Got], message: bytes, **params: object) -> Got:
        """Have a message looked at and return what came of it."""
        headers = {"Content-Type": "message/rfc822"}
        return await self._ask("POST", path, gives, content=message, headers=headers, params=_given(params))

    async def put(self, path: str, gives: type[Got], body: object = None, **params: object) -> Got:
        """Set something and return what came of it."""
        return await self._ask("PUT", path, gives, json=body, params=_given(params))

    async def patch(self, path: str, gives: type[Got], body: object = None, **params: object) -> Got:
        """Change a part of something and return what came of it."""
        return await self._ask("PATCH", path, gives, json=body, params=_given(params))

    async def delete(self, path: str, gives: type[Got], **params: object) -> Got:
        """Remove something and return what came of it."""
        return await self._ask("DELETE", path, gives, params=_given(params))

    async def pages(self, path: str, gives: type[Page[Got]], limit: int, **params: object) -> list[Got]:
        """Return at most so many items of a long list, page by page."""
        found: list[Got] = []
        cursor: str | None = None
        while len(found) < limit:
            page = await self.get(path, gives, limit=min(LIMIT, limit - len(found)), cursor=cursor, **params)
            found += page.items
            cursor = page.next
            if cursor is None:
                break
        return found

    async def octets(self, path: str, **params: object) -> bytes:
        """Return what is at a path as it is."""
        return (await self._send("GET", path, params=_given(params))).content

    async def events(self, path: str, gives: type[Got], **params: object) -> AsyncGenerator[Got, None]:
        """Yield what server-sent events hold, until the server ends them."""
        kind = TypeAdapter(gives)
        async with contextlib.aclosing(self._lines(path, **params)) as lines:
            async for line in lines:
                # WHATWG HTML §9.2.6: our events have one line of data each; all else is for a browser.
                if line.startswith("data:"):
                    yield kind.validate_json(line.removeprefix("data:"))

    async def _lines(self, path: str, **params: object) -> AsyncGenerator[str, None]:
        with _explained(self._where):
            asking = self._client.stream(
                "GET", _ROOT + path, params=_given(params), timeout=None, headers={"Accept": "text/event-stream"}
            )
            async with asking as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise _refusal(answer)
                async for line in answer.aiter_lines():
                    yield line

    async def _ask(self, method: str, path: str, gives: type[Got], **more: Any) -> Got:
        answer = await self._send(method, path, **more)
        if answer.status_code == 204:
            return TypeAdapter(gives).validate_python(None)
        try:
            return TypeAdapter(gives).validate_json(answer.content)
        except ValidationError as error:
            raise ActionError(
                f"{self._where} answers in a form that this version of the command does not know: "
                f"{error.error_count()} parts of it; the versions of both should be the same"
            ) from None

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        with _explained(self._where):
            answer = await self._client.request(method, _ROOT + path, **more)
        if not answer.is_success:
            raise _refusal(answer)
        return answer


@contextlib.asynccontextmanager
async def open_api(target: Target | None, settings: "ConsoleSettings | None") -> AsyncIterator[Api]:
    """Open the way to a console elsewhere, or to the one whose settings are here. Raises ActionError."""
    if target is not None:
        context = ssl.create_default_context(cafile=target.ca_file)
        headers = {"Authorization": f"Bearer {target.token.get_secret_value()}"}
        async with httpx.AsyncClient(
            base_url=target.url, headers=headers, verify=context, timeout=_TIMEOUT, trust_env=False
        ) as client:
            yield Api(client, target.url)
        return
    assert settings is not None, "a console elsewhere, or settings here"
    async with _on_this_host(settings) as api:
        yield api


@contextlib.asynccontextmanager
async def _on_this_host(settings: "ConsoleSettings") -> AsyncIterator[Api]:
    """Give the API of the application itself, in this process: no console need run, and no token is needed."""
    # Imported here: a command that speaks to a console elsewhere needs none of it.
    from services.console.actions.desk import open_desk, os_user  # noqa: PLC0415
    from services.console.cli.in_process import InProcess  # noqa: PLC0415
    from services.console.web.app import create_api  # noqa: PLC0415
    from services.console.web.backstage import Backstage  # noqa: PLC0415

    caller = os_user()
    async with open_desk(settings, caller, migrate=False) as desk:
        where = "this host's console"
        try:
            await desk.database.migrate()
        except OSError:
            # What needs it says so, and the rest works.
            where = f"the database {desk.database.where} cannot be reached"
        transport = InProcess(create_api(Backstage(settings, desk.database, only_desk=desk), caller))
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost", timeout=_TIMEOUT) as client:
            yield Api(client, where)


def part(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


def _given(params: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _refusal(answer: httpx.Response) -> ActionError:
    """Return an answer that is none as the error it tells of (RFC 9457)."""
    try:
        said = answer.json()
        detail = str(said.get("detail") or said.get("title"))
    except (ValueError, AttributeError):
        detail = answer.text[:300] or answer.reason_phrase
    error = ActionError(detail)
    error.status = answer.status_code
    return error


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # of TLS, too
        raise Away(f"{where}: {error}") from None
    except httpx.HTTPError as error:
        hint = "; its certificate's authority can be named: gatepost login URL --ca-file FILE"
        more = hint if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
        raise Away(f"{where} does not answer: {error or type(error).__name__}{more}") from None
