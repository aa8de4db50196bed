"""ICAP's words (PURE): the service's address, requests, and what a reply says of a message.

Standards: RFC 3507 (ICAP), draft-stecher-icap-subid (X-Infection-Found, X-Violations-Found), as engines use them.
On failure: ValueError for an address; EngineError for a reply that is not explicit about the message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.content.engines.scan import Clean, EngineError, Exceeded, ScanResult, found

DEFAULT_PORT = 1344
_STATUS_LINE = re.compile(rb"(?:ICAP/1\.0|HTTP/1\.[01]) ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")
_FIELD = re.compile(rb"([!-9;-~]{1,100}):[ \t]*([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")
_THREAT = re.compile(r"Threat=([^;]*)")
_CONTAINER_VIOLATION = re.compile(r"Type=2\b")
_NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class Service:
    """An ICAP service. target: its address as requests name it."""

    host: str
    port: int
    target: str
    name: str

    @property
    def host_field(self) -> str:
        """The value of `Host:`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of a reply, ICAP's own or the HTTP reply inside. fields: by their names in lower case."""

    status: int
    fields: Mapping[str, str]

    def lists(self, field: str, word: str) -> bool:
        """Return whether a comma-separated field has a word."""
        return word.lower() in (each.strip().lower() for each in self.fields.get(field, "").split(","))

    @property
    def ends_connection(self) -> bool:
        """Whether no more requests are taken on this connection."""
        return self.lists("connection", "close")


def parse_service(url: str) -> Service:
    """Return what an `icap://host:port/service` names. Raises ValueError."""
    parts = urlsplit(url)
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme != "icap" or not parts.hostname or not parts.path.strip("/") or not is_plain or parts.username:
        raise ValueError(f"{url!r} is not icap://host:port/service")
    return Service(parts.hostname, parts.port or DEFAULT_PORT, url, parts.path.strip("/"))


def checked_service(url: str) -> str:
    """Return an address as it stands if it is one, or empty. Raises ValueError."""
    if url:
        parse_service(url)
    return url


def options_request(service: Service) -> bytes:
    """Return the question what the service offers."""
    # RFC 3507 §4.10.1: OPTIONS has no body.
    fields = [f"Host: {service.host_field}", "User-Agent: Gatepost", "Encapsulated: null-body=0"]
    return _head(f"OPTIONS {service.target} ICAP/1.0", fields)


def respmod_head(service: Service, size_bytes: int) -> bytes:
    """Return all that stands before the body's first chunk: a message is shown as something that was downloaded."""
    asked = _head("GET /message.eml HTTP/1.1", ["Host: gatepost"])
    given = _head("HTTP/1.1 200 OK", ["Content-Type: message/rfc822", f"Content-Length: {size_bytes}"])
    fields = [
        f"Host: {service.host_field}",
        "User-Agent: Gatepost",
        # RFC 3507 §4.6: a clean message is not sent back. Deliberately without a Preview (§4.5): an engine that lets
        # a message pass after its first octets has not looked at the others.
        "Allow: 204",
        # RFC 3507 §4.4.1: where each encapsulated section begins.
        f"Encapsulated: req-hdr=0, res-hdr={len(asked)}, res-body={len(asked) + len(given)}",
    ]
    return _head(f"RESPMOD {service.target} ICAP/1.0", fields) + asked + given


def parse_head(head: bytes) -> Reply:
    """Return a reply's head; it ends with an empty line. Raises EngineError."""
    matched = _STATUS_LINE.match(head)
    if matched is None:
        raise EngineError(f"the ICAP server answered {head[:100]!r}")
    fields: dict[str, str] = {}
    at = matched.end()
    while field := _FIELD.match(head, at):
        fields.setdefault(field[1].decode("ascii").lower(), field[2].decode("ascii", "replace"))
        at = field.end()
    if head[at:] != b"\r\n":
        raise EngineError(f"the ICAP server answered a field that is none: {head[at : at + 100]!r}")
    return Reply(int(matched[1]), fields)


def read_word(engine: str, reply: Reply, inner: Reply | None) -> ScanResult:
    """Return what a reply to RESPMOD says. inner: the HTTP reply inside, where there is one. Raises EngineError."""
    violation = _violation(engine, reply.fields)
    if violation is not None:
        return violation
    # RFC 3507 §4.6: 204 says that the message needs no change.
    if reply.status == 204:
        return Clean(engine)
    # RFC 3507 §4.8.1 leaves open what is put in place of malware; engines answer 403 to whoever wanted to load it.
    if reply.status == 200 and inner is not None and inner.status == 403:
        return found(engine, "unnamed malware")
    raise EngineError(f"{engine} answered with status {reply.status}")


def _violation(engine: str, fields: Mapping[str, str]) -> ScanResult | None:
    infection = fields.get("x-infection-found", "")
    threat = _THREAT.search(infection)
    name = threat[1] if threat else fields.get("x-virus-id", "")
    violations = fields.get("x-violations-found", "").split("\r\n")
    if not infection and not name:
        # A count, and four lines for each: the file, the threat, its number, what was done.
        if violations[0].strip() in ("", "0"):
            return None
        name = violations[2] if len(violations) > 2 else ""
    name = _shown(name)
    return Exceeded(engine, name) if _CONTAINER_VIOLATION.search(infection) else found(engine, name)


def _shown(name: str) -> str:
    """Return the name of a threat, safe to show."""
    text = "".join(char if char.isascii() and char.isprintable() else "?" for char in name.strip())
    return text[:_NAME_CHARS] or "unnamed malware"


def _head(first_line: str, fields: list[str]) -> bytes:
    return "\r\n".join([first_line, *fields, "", ""]).encode("ascii")
