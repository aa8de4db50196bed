"""One kept connection to an ICAP server (I/O): one question at a time.

Input: samples. Output: replies' heads; what a server sends beyond them is not read.
On failure: EngineError for whatever is no well-formed head of at most HEAD_LIMIT octets; the connection is then closed.
"""

import asyncio
import contextlib

from services.content.engines.icap_wire import Reply, Service, options_request, parse_head, respmod_head
from services.content.engines.sample import Sample
from services.content.engines.scan import EngineError

HEAD_LIMIT = 16_384
_CONNECT_TIMEOUT_S = 3.0
_ONE_WRITE_BYTES = 262_144


class Connection:
    """A connection to a service. answers: how many it gave. is_open: whether the next question can be asked."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service = service
        self._reader = reader
        self._writer = writer
        self.answers = 0
        self.is_open = True

    @classmethod
    async def open(cls, service: Service) -> "Connection":
        """Return a connection. Raises EngineError."""
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                streams = await asyncio.open_connection(service.host, service.port, limit=HEAD_LIMIT)
        except (OSError, TimeoutError) as error:
            cause = f"the ICAP server at {service.host_field} cannot be reached: {type(error).__name__}"
            raise EngineError(cause) from None
        return cls(service, *streams)

    async def options(self) -> Reply:
        """Return what the service offers. Raises EngineError."""
        self._write(options_request(self._service))
        reply = await self._reply()
        if not reply.fields.get("encapsulated", "null-body=0").startswith("null-body"):
            self.close()
        return reply

    async def scan(self, sample: Sample) -> tuple[Reply, Reply | None]:
        """Return the answer to a message, and the HTTP reply inside it, if any. Raises EngineError."""
        head = respmod_head(self._service, sample.size_sent)
        if sample.size_sent <= _ONE_WRITE_BYTES:
            self._write(b"".join((head, *_chunk(sample), b"0\r\n\r\n")))
            return await self._answer()
        # A server may answer before it has taken all of it.
        sending = asyncio.create_task(self._send(head, sample), name="icap-send")
        try:
            return await self._answer()
        finally:
            if not sending.done():
                self.close()
                sending.cancel()
            await asyncio.wait([sending])
            # What kept it from being sent shows in the answer, or in its absence.
            _ = sending.cancelled() or sending.exception()

    def close(self) -> None:
        """Close it at once."""
        self.is_open = False
        # Deliberately without sending what is left: a server that hangs would never take it.
        self._writer.transport.abort()

    async def wait_closed(self) -> None:
        """Return when it is closed."""
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _write(self, octets: bytes) -> None:
        # What keeps it from being sent shows in the absence of an answer; uvloop raises RuntimeError for a connection
        # that is closed.
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(octets)

    async def _send(self, head: bytes, sample: Sample) -> None:
        self._writer.write(head)
        for piece in sample.pieces():
            self._writer.write(b"%x\r\n" % len(piece))
            self._writer.write(piece)
            self._writer.write(b"\r\n")
            await self._writer.drain()
        self._writer.write(b"0\r\n\r\n")

    async def _answer(self) -> tuple[Reply, Reply | None]:
        reply = await self._reply()
        if reply.status != 200:
            return reply, None
        # What is put in place of a message has a body, which nobody needs: the connection ends with it.
        try:
            return reply, await self._reply() if "res-hdr=0" in reply.fields.get("encapsulated", "") else None
        finally:
            self.close()

    async def _reply(self) -> Reply:
        try:
            reply = parse_head(await self._reader.readuntil(b"\r\n\r\n"))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self.close()
            cause = f"the ICAP server at {self._service.host_field} gave no answer: {type(error).__name__}"
            raise EngineError(cause) from None
        except BaseException:
            # An answer that comes later would be taken for another message's.
            self.close()
            raise
        self.answers += 1
        if reply.ends_connection or reply.status >= 400:
            self.close()
        return reply


def _chunk(sample: Sample) -> tuple[bytes | memoryview, ...]:
    if not sample.size_sent:
        return ()
    return (b"%x\r\n" % sample.size_sent, *sample.parts, b"\r\n")
