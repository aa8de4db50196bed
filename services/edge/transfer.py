"""DATA and BDAT: from the client's first octet to the answer.

Owns: when a message may begin, reading it to its end whatever is wrong with it, and one reply for it.
Standards: RFC 5321 §4.1.1.4, RFC 3030 (CHUNKING).
On failure: a flaw is told after the end of the message, or of the chunk, so that the session stays in step; a timeout
ends it.
"""

# ruff: noqa: N802  (aiosmtpd finds commands by these names)

import re

from services.edge.data import DotReader, PieceReader
from services.edge.decide.refusal import RefusalReason, refuse
from services.edge.ending import Over, TimedOut
from services.edge.engine import Engine
from services.edge.handover import Message
from services.edge.pace import GRACE_S, Pace
from services.edge.session import Transaction
from shared import tracing
from shared.event import Stage
from shared.reply import Reply

_CHUNK = re.compile(r"([0-9]{1,10})(?: +(LAST))?\Z", re.IGNORECASE)
NO_MAIL = Reply(503, "5.5.1", "Need MAIL first")
_NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
_NOT_WITH_BDAT = Reply(503, "5.5.1", "DATA may not follow BDAT")
_NO_CHUNKING = Reply(502, "5.5.1", "CHUNKING is not offered")
_CHUNK_FAILED = Reply(503, "5.5.1", "An earlier chunk failed, send RSET")
_TOO_SLOW = refuse(RefusalReason.TOO_SLOW, 421, "4.4.2", "The message comes too slowly, closing the session")
_CHUNK_SYNTAX = Reply(501, "5.5.4", "Syntax: BDAT <size> [LAST]; it is not known where the chunk ends, closing")


class Transfer(Engine):
    """The part of a connection that takes messages."""

    _message: Message | None = None
    _pieces: PieceReader | None = None
    _chunk_failed = False

    @property
    def in_bdat(self) -> bool:
        """Whether a message in chunks has begun."""
        return self._message is not None or self._chunk_failed

    def abandon_message(self) -> None:
        """Give up a message in chunks."""
        if self._message is not None:
            self._message.content.close()
        self._message = self._pieces = None
        self._chunk_failed = False

    async def smtp_DATA(self, arg: str) -> None:
        """RFC 5321 §4.1.1.4."""
        if arg:
            await self.fail(NO_ARGUMENT)
        elif self.tx.sender is None:
            await self.fail(NO_MAIL)
        elif self.in_bdat:
            # RFC 3030 §2: the two do not mix.
            await self.fail(_NOT_WITH_BDAT)
        elif not self.tx.recipients:
            # RFC 2920 §3.1: a pipelining client comes here when every recipient was refused; no error of its own.
            await self.push(_NO_RECIPIENTS)
        else:
            await self._data()

    async def _data(self) -> None:
        self._message = message = self.handler.open_message(self.state, self.tx)
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        reader = DotReader(message.content)
        pace = self._pace()
        self._in_message = True
        while True:
            piece = await self._read(pace)
            rest = reader.feed(piece)
            if rest is not None:
                break
        if rest < len(piece):
            self.inbox.put_back(piece[rest:])
        await self._finish(message)

    async def smtp_BDAT(self, arg: str) -> None:
        """RFC 3030 §2."""
        matched = _CHUNK.match(arg)
        if matched is None:
            raise Over(_CHUNK_SYNTAX)
        self._in_message = True
        refused = self._why_no_chunk()
        message = None if refused else self._open_chunks()
        await self._read_chunk(int(matched[1]))
        # RFC 3030 §2: the octets of a refused chunk are taken off the line first.
        if message is None:
            self._in_message = False
            assert refused is not None
            await self.push(refused)
            return
        await self._after_chunk(message, int(matched[1]), last=matched[2] is not None)

    def _why_no_chunk(self) -> Reply | None:
        if not self.state.rules.chunking or not self.state.extended_smtp:
            self.state.errors += 1
            return _NO_CHUNKING
        if self.tx.sender is None:
            return NO_MAIL
        if self._chunk_failed:
            return _CHUNK_FAILED
        return None if self.tx.recipients else _NO_RECIPIENTS

    def _open_chunks(self) -> Message:
        if self._message is None:
            self._message = self.handler.open_message(self.state, self.tx)
            self._pieces = PieceReader(self._message.content)
            self._chunks_pace = self._pace()
        return self._message

    async def _read_chunk(self, left: int) -> None:
        pieces = self._pieces
        pace = self._chunks_pace if pieces else self._pace()
        while left:
            piece = await self._read(pace, left)
            left -= len(piece)
            if pieces is not None:
                pieces.feed(piece)

    def _pace(self) -> Pace:
        limits, now = self.limits, self.loop.time()
        # Whoever may be silent for no longer than this needs no longer grace.
        grace_s = min(GRACE_S, limits.data_timeout_s)
        return Pace(now, now + limits.message_timeout_s, limits.min_data_bytes_per_s, grace_s)

    async def _read(self, pace: Pace, most: int | None = None) -> bytes:
        try:
            piece = await self.read_piece(self.limits.data_timeout_s, pace.until, most)
        except TimedOut:
            if self.loop.time() >= pace.slow_at:
                self.turn_away(_TOO_SLOW)
            raise
        pace.octets += len(piece)
        return piece

    async def _after_chunk(self, message: Message, octets: int, *, last: bool) -> None:
        assert self._pieces is not None
        if last:
            self._pieces.finish()
            await self._finish(message)
        elif message.content.flaw is not None:
            self._in_message = False
            reply = await self.handler.handle_DATA(self.state, self.tx, message)
            self.abandon_message()
            self._chunk_failed = True
            await self.push(reply)
        else:
            self._in_message = False
            await self.push(f"250 2.0.0 {octets} octets received")

    async def _finish(self, message: Message) -> None:
        # The next command begins here, whatever comes of the message.
        self._in_message = False
        with tracing.mail(Stage.EDGE, message.id, began_at=message.received_at) as work:
            work.past("receive", message.received_at)
            reply = await self._answer(message)
            work.note(listener=self.state.listener, code=reply.code, enhanced=reply.enhanced)

    async def _answer(self, message: Message) -> Reply:
        try:
            reply = await self.handler.handle_DATA(self.state, self.tx, message)
        finally:
            self.abandon_message()
            self.tx = Transaction()
        self.state.messages += 1
        if reply.positive:
            # It has paid for what came before it; but not for trying recipients and passwords.
            self.state.commands = self.state.errors = 0
        with tracing.span("reply"):
            await self.push(reply)
        return reply
