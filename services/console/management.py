"""RabbitMQ's management API, as far as the installer and `doctor` need it (I/O: blocking HTTP, call it in a thread).

Output: what the broker holds, as `Present`.
On failure: ManagementError, which names the request and the broker's own reason.
"""

import base64
import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from pydantic import JsonValue, TypeAdapter, ValidationError

from shared.broker.topology import Argument
from shared.settings import BrokerSettings

_TIMEOUT_S = 15.0


class ManagementError(Exception):
    """The management API could not be reached, or refused."""


@dataclass(frozen=True, slots=True)
class PresentExchange:
    """An exchange that the broker holds."""

    name: str
    type: str
    durable: bool


@dataclass(frozen=True, slots=True)
class PresentQueue:
    """A queue that the broker holds, with the arguments it was declared with."""

    name: str
    durable: bool
    arguments: dict[str, Argument]


@dataclass(frozen=True, slots=True)
class PresentBinding:
    """A binding; source "" is the default exchange, which binds every queue by its name."""

    source: str
    destination: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class PresentRights:
    """What a user may do in the vhost."""

    user: str
    configure: str
    write: str
    read: str


@dataclass(frozen=True, slots=True)
class Present:
    """What is there in one vhost."""

    exchanges: tuple[PresentExchange, ...]
    queues: tuple[PresentQueue, ...]
    bindings: tuple[PresentBinding, ...]
    rights: tuple[PresentRights, ...]


_EXCHANGES = TypeAdapter(tuple[PresentExchange, ...])
_QUEUES = TypeAdapter(tuple[PresentQueue, ...])
_BINDINGS = TypeAdapter(tuple[PresentBinding, ...])
_RIGHTS = TypeAdapter(tuple[PresentRights, ...])


class Management:
    """The API of one vhost, over one kept connection."""

    def __init__(self, url: str, admin: BrokerSettings) -> None:
        self.vhost = admin.vhost
        parts = urlsplit(url)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=admin.ca_file)
            self._http: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port or 15671, timeout=_TIMEOUT_S, context=context
            )
        else:
            self._http = http.client.HTTPConnection(parts.hostname or "", parts.port or 15672, timeout=_TIMEOUT_S)
        login = f"{admin.user}:{admin.password.get_secret_value()}".encode()
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(login).decode(),
            "Content-Type": "application/json",
        }

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, *path: str) -> bytes:
        """Return the JSON of something. Raises ManagementError."""
        return self._request("GET", path, None)

    def put(self, *path: str, body: Mapping[str, JsonValue]) -> None:
        """Create or change something. Raises ManagementError."""
        self._request("PUT", path, json.dumps(body))

    def post(self, *path: str, body: Mapping[str, JsonValue]) -> None:
        """Add something. Raises ManagementError."""
        self._request("POST", path, json.dumps(body))

    def delete(self, *path: str) -> None:
        """Remove something. Raises ManagementError."""
        self._request("DELETE", path, None)

    def present(self) -> Present:
        """Return what the vhost holds. Raises ManagementError."""
        try:
            return Present(
                exchanges=_EXCHANGES.validate_json(self._request("GET", ("exchanges", self.vhost), None)),
                queues=_QUEUES.validate_json(self._request("GET", ("queues", self.vhost), None)),
                bindings=_BINDINGS.validate_json(self._request("GET", ("bindings", self.vhost), None)),
                rights=_RIGHTS.validate_json(self._request("GET", ("vhosts", self.vhost, "permissions"), None)),
            )
        except ValidationError as error:
            raise ManagementError(f"an answer of the management API is not as expected: {error}") from None

    def _request(self, method: str, path: tuple[str, ...], body: str | None) -> bytes:
        target = "/api/" + "/".join(quote(step, safe="") for step in path)
        try:
            self._http.request(method, target, body, self._headers)
            response = self._http.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise ManagementError(f"{method} {target}: {error}") from None
        if response.status >= 300:
            raise ManagementError(f"{method} {target}: {response.status} {_reason(answer)}")
        return answer


def _reason(answer: bytes) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        return str(json.loads(answer).get("reason"))
    return answer[:200].decode("utf-8", "replace")


@contextlib.contextmanager
def management(url: str, admin: BrokerSettings) -> Iterator[Management]:
    """Open the API of the administrator's vhost for the length of a `with`."""
    opened = Management(url, admin)
    try:
        yield opened
    finally:
        opened.close()
