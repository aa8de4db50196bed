"""The engines that content asks, each reached by the smallest question it answers (I/O: sockets with a deadline).

Input: the addresses in `[doctor]`, which are content's own. Output: a finding per address.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.console.doctor.finding import Finding, good, wrong
from services.console.settings import DoctorSettings
from shared.endpoint import Unix, parse_address

_DEADLINE_S = 8.0
_ANSWER_BYTES = 4096
_ICAP_PORT = 1344


@dataclass(frozen=True, slots=True)
class _Scanner:
    """Of one kind. is_well: whether an answer, or its beginning, is the right one."""

    topic: str
    question: bytes
    is_well: Callable[[bytes], bool]
    mend: str


_HELD = "until then mail is deferred with 451, never passed unexamined"
_CLAMD = _Scanner(
    "clamd",
    b"zPING\0",
    lambda answer: answer.strip(b"\0\r\n") == b"PONG",
    f"start clamd, once freshclam has fetched signatures; {_HELD}",
)
_RSPAMD = _Scanner(
    "rspamd",
    b"GET /ping HTTP/1.0\r\n\r\n",
    lambda answer: b" 200 " in answer.partition(b"\r\n")[0],
    f"start Rspamd, or correct the addresses; {_HELD}",
)
_SPAMD = _Scanner(
    "spamd",
    b"PING SPAMC/1.5\r\n\r\n",
    lambda answer: answer.startswith(b"SPAMD/") and b"PONG" in answer.partition(b"\r\n")[0],
    f"start spamd, or have it listen for this host (--listen, --allowed-ips); {_HELD}",
)


async def scanners(settings: DoctorSettings) -> list[Finding]:
    """Ask every engine that is named."""
    asked = [_ask(scanner, address) for scanner, addresses in _named(settings) for address in addresses]
    if settings.icap:
        asked.append(_ask_icap(settings.icap))
    return await asyncio.gather(*asked)


def _named(settings: DoctorSettings) -> list[tuple[_Scanner, list[str]]]:
    return [(_CLAMD, settings.clamd), (_RSPAMD, settings.rspamd), (_SPAMD, settings.spamd)]


async def _ask(scanner: _Scanner, address: str) -> Finding:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            reader, writer = await open_address(address)
            try:
                writer.write(scanner.question)
                answer = await reader.read(_ANSWER_BYTES)
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        return wrong(scanner.topic, f"{address}: {error or 'no answer'}", scanner.mend)
    if not scanner.is_well(answer):
        return wrong(scanner.topic, f"{address} answers {answer[:200]!r}", scanner.mend)
    return good(scanner.topic, f"{address} answers")


async def _ask_icap(url: str) -> Finding:
    parts = urlsplit(url)
    # RFC 3507 §4.10.1: OPTIONS tells whether the service is there.
    scanner = _Scanner(
        "ICAP",
        f"OPTIONS {url} ICAP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode(),
        lambda answer: answer.startswith(b"ICAP/1.0 200"),
        f"start the ICAP server, or correct the service's name in {url}; {_HELD}",
    )
    return await _ask(scanner, f"{parts.hostname}:{parts.port or _ICAP_PORT}")


async def open_address(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection to `host:port`, or to the path of a socket. Raises OSError, and ValueError for neither."""
    where = parse_address(address)
    if isinstance(where, Unix):
        return await asyncio.open_unix_connection(where.path)
    return await asyncio.open_connection(where.host, where.port)
