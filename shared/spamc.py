"""One question to SpamAssassin's spamd, over the protocol SPAMC (I/O).

Owns: `ask_spamd`: a connection, a request, a bounded answer.
Input: the verb, header fields, a message. Output: `SpamdAnswer`.
Standards: spamd's own description, spamd/PROTOCOL of SpamAssassin 3.4 and 4.0.
On failure: SpamdError; its text is safe to show. Whoever calls sets the deadline.
aiospamc writes the requests and reads the answers; its connections are not used (1.2.0): they read whatever comes
until the end without a bound, hand the whole of it to a logger, leave the socket open when a read or a time-out fails,
and let UnicodeDecodeError pass. Its parser copies the rest of the answer for each header line, hence the bound of the
head here.
"""

import asyncio
import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiospamc.exceptions import ParseError
from aiospamc.header_values import SpamValue
from aiospamc.incremental_parser import ResponseParser
from aiospamc.requests import Request

from shared.endpoint import parse_tcp

MAX_ANSWER_BYTES = 262_144
_MAX_HEAD_BYTES = 4096
_MAX_SCORE = 1_000_000
_CONNECT_S = 2.0
_PIECE_BYTES = 65_536
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


class SpamdError(Exception):
    """spamd gave no answer that can be used."""


@dataclass(frozen=True, slots=True)
class SpamdAnswer:
    """What spamd said. score: None where the verb has none. fields: names of its header fields. body: decoded."""

    score: float | None
    fields: frozenset[str]
    body: str


async def ask_spamd(address: str, verb: str, message: bytes, fields: Mapping[str, object] | None = None) -> SpamdAnswer:
    """Return what the spamd at `host:port` says. fields: header values of aiospamc. Raises SpamdError."""
    request = bytes(Request(verb, headers=dict(fields or {}), body=message))
    try:
        where = parse_tcp(address)
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(where.host, where.port, limit=_PIECE_BYTES)
    except (OSError, TimeoutError, ValueError) as error:
        raise SpamdError(f"spamd at {address} takes no connection: {type(error).__name__}") from None
    try:
        answer = await _exchange(reader, writer, request)
    except OSError as error:
        raise SpamdError(f"spamd at {address} gave no answer: {type(error).__name__}") from None
    finally:
        # All that it had to say is said; an orderly end could wait for a daemon that hangs.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return read_answer(answer)


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    view = memoryview(request)
    for start in range(0, len(request), _PIECE_BYTES):
        writer.write(view[start : start + _PIECE_BYTES])
        await writer.drain()
    writer.write_eof()
    answer = bytearray()
    while piece := await reader.read(_PIECE_BYTES):
        answer += piece
        if len(answer) > MAX_ANSWER_BYTES:
            raise SpamdError(f"spamd answered with more than {MAX_ANSWER_BYTES} octets")
    return bytes(answer)


def read_answer(answer: bytes) -> SpamdAnswer:
    """Return what an answer says (PURE). Raises SpamdError."""
    if len(answer) > _MAX_HEAD_BYTES and b"\r\n\r\n" not in answer[:_MAX_HEAD_BYTES]:
        raise SpamdError(f"spamd answered {_plain(answer)}")
    try:
        parsed = ResponseParser().parse(answer)
    except (ParseError, ValueError, LookupError):
        raise SpamdError(f"spamd answered {_plain(answer)}") from None
    if parsed["status_code"] != 0:
        raise SpamdError(f"spamd answered {parsed['status_code']} {_plain(parsed['message'].encode())}")
    return SpamdAnswer(
        _score(parsed["headers"]), frozenset(parsed["headers"]), parsed["body"].decode("utf-8", "replace")
    )


def _score(headers: Mapping[str, object]) -> float | None:
    spam = headers.get("Spam")
    if not isinstance(spam, SpamValue):
        return None
    score = float(spam.score)
    # True for NaN, too.
    if not abs(score) <= _MAX_SCORE:
        raise SpamdError("spamd answered with a score that is no number")
    return score


def _plain(answer: bytes) -> str:
    shown = _UNSAFE.sub("?", answer[:80].decode("utf-8", "replace"))
    return shown or "nothing"
