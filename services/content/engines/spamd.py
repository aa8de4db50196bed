"""SpamAssassin's spamd (I/O through shared.spamc).

Input: `SpamRequest`. Output: `SpamReport`, with the rules that the report names.
What the protocol cannot say, SpamAssassin reads from the message: the client from the Received field that edge has
written on top, the sender from a Return-Path, which is put before that as a delivering server would (RFC 5321 §4.4).
Our own findings cannot be handed over. Of a message larger than max_bytes the beginning is given, since SpamAssassin
takes seconds for a megabyte; the report says so.
On failure: SpamError; nothing is retried here (failover.py).
"""

import asyncio

from services.content.engines.cut import beginning
from services.content.engines.spamd_report import read_symbols
from services.content.spam import SpamError, SpamReport, SpamRequest
from shared.spamc import SpamdAnswer, SpamdError, ask_spamd

ENGINE = "SpamAssassin"


class SpamdBackend:
    """spamds. connections: at a time to all of them, for each is a process of its own there."""

    name = ENGINE

    def __init__(self, connections: int, max_bytes: int) -> None:
        self._free = asyncio.Semaphore(connections)
        self._max_bytes = max_bytes

    async def ask(self, address: str, request: SpamRequest) -> SpamReport:
        """Return what the spamd at an address says of a message. Raises SpamError."""
        given = beginning(request.message, self._max_bytes)
        async with self._free:
            try:
                answer = await ask_spamd(address, "REPORT", return_path(request.envelope.sender) + given)
            except SpamdError as error:
                raise SpamError(str(error)) from None
        return _report(answer, None if len(given) == len(request.message) else len(given))

    async def close(self) -> None:
        """Nothing is kept open."""


def return_path(sender: str) -> bytes:
    """Return the field for an envelope's sender (PURE); nothing where it is not printable ASCII."""
    if not sender.isascii() or not sender.isprintable():
        return b""
    # RFC 5321 §4.4: the null reverse-path is <>.
    return f"Return-Path: <{sender}>\r\n".encode("ascii")


def _report(answer: SpamdAnswer, examined_bytes: int | None) -> SpamReport:
    if answer.score is None:
        raise SpamError("spamd answered without a score")
    return SpamReport(ENGINE, answer.score, read_symbols(answer.body), examined_bytes=examined_bytes)
