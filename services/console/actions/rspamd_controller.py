"""Rspamd's controller, as far as learning goes (I/O: HTTP).

Owns: `RspamdController`: one request, one connection, a bounded answer.
On failure: ActionError; whoever calls sets the deadline.
Why not by an HTTP library: Rspamd 3.4 answers with a body where HTTP has none (status 204, RFC 9110 §15.3.5), and with
status 1 where its Redis is away; libraries take both for garbage, and the administrator would not learn what is wrong.
The requests are HTTP/1.0, to which no server answers in chunks.
"""

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass

from services.console.actions.desk import ActionError
from shared.endpoint import parse_tcp

_MAX_ANSWER_BYTES = 262_144
_PIECE_BYTES = 65_536
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{1,3}) ?([^\r\n]*)\r\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """What it said. text: its own words for an error, empty if none. facts: of a JSON object."""

    status: int
    text: str
    facts: dict[str, object]


_ASKS = 10
_PAUSE_S = 0.3


class RspamdController:
    """A controller. address: `host:port`. password: what its settings call password or enable_password."""

    def __init__(self, address: str, password: str) -> None:
        if not password.isascii() or (password and not password.isprintable()):
            raise ActionError("[antispam] password has characters that no header field of HTTP can hold")
        self._address = address
        self._password = password
        self._where = f"Rspamd's controller at {address}"

    async def learn(self, message: bytes, kind: str) -> None:
        """Teach it a message. kind: ham or spam. Raises ActionError for whatever is not: learned."""
        answer = await self._ask("POST", f"/learn{kind}", message)
        match answer.status:
            case 200 if answer.facts.get("success") is True:
                await self._has_room()
            case 208:
                raise ActionError(f"Rspamd has learned it as {kind} before")
            case 204:
                raise ActionError(f"Rspamd did not learn it, for it has too few words: {answer.text}")
            case 401 | 403:
                raise ActionError(f"{self._where} does not take the password: correct [antispam] password")
            case _:
                raise ActionError(f"{self._where} did not learn it: {answer.text or f'HTTP status {answer.status}'}")

    async def _has_room(self) -> None:
        # It says "success" also where nothing keeps what it learns; and one that has just begun does not know at once.
        for _ in range(_ASKS):
            answer = await self._ask("GET", "/stat")
            if answer.facts.get("statfiles"):
                return
            await asyncio.sleep(_PAUSE_S)
        raise ActionError(f"{self._where} has no place for what it learns: its settings name no Redis, or that is away")

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        head = [
            f"{method} {path} HTTP/1.0",
            f"Host: {self._address}",
            f"Password: {self._password}",
            f"Content-Length: {len(body)}",
        ]
        try:
            said = await _exchange(self._address, "\r\n".join([*head, "", ""]).encode("ascii") + body)
        except (OSError, ValueError) as error:
            raise ActionError(f"{self._where} cannot be reached: {type(error).__name__}") from None
        status = _STATUS.match(said)
        if status is None:
            raise ActionError(f"{self._where} gave no answer that can be read")
        facts = _facts(said.partition(b"\r\n\r\n")[2])
        text = facts.get("error") or status[2].decode("utf-8", "replace")
        return Answer(int(status[1]), str(text)[:300], facts)


async def _exchange(address: str, request: bytes) -> bytes:
    where = parse_tcp(address)
    reader, writer = await asyncio.open_connection(where.host, where.port, limit=_PIECE_BYTES)
    try:
        writer.write(request)
        await writer.drain()
        answer = bytearray()
        while len(answer) < _MAX_ANSWER_BYTES and (piece := await reader.read(_PIECE_BYTES)):
            answer += piece
        return bytes(answer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _facts(body: bytes) -> dict[str, object]:
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}
