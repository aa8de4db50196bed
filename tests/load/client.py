"""A load client that keeps an account of every message by its Message-ID, and goes on whatever happens (I/O: SMTP).

Postfix's smtp-source stops at the first reply that it did not expect, and its messages cannot be told apart.
Output: one `Outcome` per message that was begun; `Load` counts them and can be waited for.
On failure: an error reply or a lost connection is an outcome; the session begins again after a short pause.

As a command: python -m tests.load.client --port 2525 --to user@sink.test --messages 1000 --sessions 20
"""

import argparse
import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.load.mail import SENDER, SENDER_DOMAIN, Kind, Mailbag

REPLY_S = 60.0
_PAUSE_S = 0.1


class Result(StrEnum):
    """What became of a message, as far as its client knows."""

    ACCEPTED = "accepted"  # 2xx to the end of the message: it must arrive
    DEFERRED = "deferred"  # 4xx: the sender keeps it
    REFUSED = "refused"  # 5xx: the sender keeps it
    UNSENT = "unsent"  # the connection ended before the end of the message was sent
    DOUBTFUL = "doubtful"  # the connection ended after it, without a reply


@dataclass(frozen=True, slots=True)
class Outcome:
    """One message's story. began: Unix seconds at MAIL. reply: the last one, or what was wrong."""

    message_id: str
    kind: Kind
    recipient: str
    result: Result
    reply: str
    began: float
    took_s: float


class Gone(Exception):
    """The connection ended, or the server took too long."""


@dataclass(slots=True)
class _Session:
    """One SMTP connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def reply(self) -> str:
        """Return the last line of a reply. Raises Gone."""
        try:
            async with asyncio.timeout(REPLY_S):
                while True:
                    line = await self.reader.readline()
                    if not line.endswith(b"\n"):
                        raise Gone("connection lost")
                    if line[3:4] != b"-":
                        return line.decode("ascii", "replace").rstrip()
        except (OSError, TimeoutError) as error:
            raise Gone(f"{type(error).__name__}: {error}") from None

    async def say(self, line: bytes) -> str:
        """Send a command and return the reply. Raises Gone."""
        try:
            self.writer.write(line + b"\r\n")
            await self.writer.drain()
        except OSError as error:
            raise Gone(f"{type(error).__name__}: {error}") from None
        return await self.reply()


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass(slots=True)
class Load:
    """Some sessions that send until told to stop.

    bags: taken in turn. kinds: of the messages, in turn. per_connection: messages before a new connection; 1 is new for
    each. refused_sessions: those that ended without a message, by cause.
    gate: while it is shut, messages stop between the go-ahead for their text and the text; at_gate tells how many.
    """

    port: int
    bags: Sequence[Mailbag]
    kinds: Sequence[Kind] = (Kind.PLAIN,)
    sessions: int = 10
    per_connection: int = 1
    outcomes: list[Outcome] = field(default_factory=list)
    refused_sessions: Counter[str] = field(default_factory=Counter)
    gate: asyncio.Event = field(default_factory=_open_gate)
    at_gate: int = 0
    _left: int | None = None
    _stopping: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _order: "itertools.cycle[tuple[Mailbag, Kind]] | None" = None

    async def run(self, messages: int | None = None) -> None:
        """Send so many messages, or until `stop`."""
        self._left = messages
        self._stopping = False
        async with asyncio.TaskGroup() as group:
            for _ in range(self.sessions):
                group.create_task(self._keep_sending())

    def stop(self) -> None:
        """Have every session end after its message."""
        self._stopping = True

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Send for the length of a `with`."""
        task = asyncio.create_task(self.run())
        try:
            yield self
        finally:
            self.stop()
            await task

    async def more(self, count: int, result: Result = Result.ACCEPTED, deadline_s: float = 120) -> None:
        """Return when so many more messages have come to a result."""
        wanted = self.count(result) + count
        await self.until(lambda: self.count(result) >= wanted, deadline_s)

    async def until(self, holds: Callable[[], bool], deadline_s: float = 120) -> None:
        """Return when something holds of the outcomes, or of the refused sessions. Raises TimeoutError."""
        async with asyncio.timeout(deadline_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def count(self, result: Result) -> int:
        """Return how many messages came to a result."""
        return sum(outcome.result is result for outcome in self.outcomes)

    def with_result(self, *results: Result) -> list[Outcome]:
        """Return the outcomes with one of these results."""
        return [outcome for outcome in self.outcomes if outcome.result in results]

    def summary(self) -> str:
        """Return the counts in words."""
        counts = Counter(outcome.result.value for outcome in self.outcomes)
        return ", ".join(f"{count} {result}" for result, count in sorted(counts.items())) or "nothing"

    async def _keep_sending(self) -> None:
        while self._wanted():
            if not await self._one_connection():
                await asyncio.sleep(_PAUSE_S)

    def _wanted(self) -> bool:
        return not self._stopping and (self._left is None or self._left > 0)

    async def _one_connection(self) -> bool:
        """Use one connection to its end; return whether all went well."""
        try:
            async with asyncio.timeout(REPLY_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except (OSError, TimeoutError) as error:
            return self._no_session(type(error).__name__)
        session = _Session(reader, writer)
        try:
            return await self._talk(session)
        except Gone as gone:
            return self._no_session(str(gone))
        finally:
            writer.transport.abort()

    def _no_session(self, cause: str) -> bool:
        self.refused_sessions[cause] += 1
        self._changed.set()
        return False

    async def _talk(self, session: _Session) -> bool:
        greeting = await session.reply()
        if greeting.startswith("220"):
            greeting = await session.say(f"EHLO client.{SENDER_DOMAIN}".encode())
        if not greeting.startswith("2"):
            return self._no_session(greeting[:9])
        for _ in range(self.per_connection):
            if not self._wanted():
                break
            if self._left is not None:
                self._left -= 1
            if not await self._one_message(session):
                return False
        await session.say(b"QUIT")
        return True

    async def _one_message(self, session: _Session) -> bool:
        """Send one message and note its outcome; return whether the connection can go on."""
        if self._order is None:
            self._order = itertools.cycle((bag, kind) for kind in self.kinds for bag in self.bags)
        bag, kind = next(self._order)
        message_id, text = bag.write(kind)
        began, started = time.time(), time.monotonic()
        result, reply = await self._transaction(session, bag.recipient, text)
        took_s = time.monotonic() - started
        self.outcomes.append(Outcome(message_id, kind, bag.recipient, result, reply, began, took_s))
        self._changed.set()
        if result in (Result.UNSENT, Result.DOUBTFUL) or reply.startswith("421"):
            return False
        if not reply.startswith("2"):
            await session.say(b"RSET")
        return True

    async def _transaction(self, session: _Session, recipient: str, text: bytes) -> tuple[Result, str]:
        end_sent = False
        try:
            for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{recipient}>", "DATA"):
                reply = await session.say(command.encode())
                if reply[:1] not in "23":
                    return _result_of(reply), reply
            await self._pass_gate()
            end_sent = True
            reply = await session.say(text + b".")
            return _result_of(reply), reply
        except Gone as gone:
            return (Result.DOUBTFUL if end_sent else Result.UNSENT), str(gone)

    async def _pass_gate(self) -> None:
        self.at_gate += 1
        self._changed.set()
        await self.gate.wait()
        self.at_gate -= 1


def _result_of(reply: str) -> Result:
    return {"2": Result.ACCEPTED, "4": Result.DEFERRED}.get(reply[:1], Result.REFUSED)


def main() -> None:
    """Send as told, print every outcome if asked, and the sums."""
    arguments = argparse.ArgumentParser(description="SMTP load that goes on after errors.")
    arguments.add_argument("--port", type=int, default=2525)
    arguments.add_argument("--to", default="demo@gatepost.test")
    arguments.add_argument("--messages", type=int, default=1000)
    arguments.add_argument("--sessions", type=int, default=20)
    arguments.add_argument("--per-connection", type=int, default=1)
    arguments.add_argument("--size", type=int, default=4000)
    arguments.add_argument("--malware-every", type=int, default=0, help="every so many, one that must be refused")
    arguments.add_argument("--log", action="store_true", help="print one line per message")
    given = arguments.parse_args()
    kinds = [Kind.PLAIN] * max(1, given.malware_every - 1) + [Kind.MALWARE] * (given.malware_every > 0)
    load = Load(given.port, [Mailbag(given.to, given.size)], kinds, given.sessions, given.per_connection)
    started = time.monotonic()
    asyncio.run(load.run(given.messages))
    took_s = time.monotonic() - started
    if given.log:
        for outcome in load.outcomes:
            print(outcome.message_id, outcome.result, f"{outcome.took_s:.3f}", outcome.reply)
    print(f"{len(load.outcomes)} messages in {took_s:.1f} s ({len(load.outcomes) / took_s:.0f}/s): {load.summary()}")


if __name__ == "__main__":
    main()
