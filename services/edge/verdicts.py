"""Waiting for verdicts, and telling content what was said (I/O around `VerdictMemory`).

On failure: a `said` that cannot be published is dropped and counted, for content asks again; a verdict that does not
come in time is answered 250, for the message is safe in the broker.
"""

import asyncio

import structlog

from services.edge import metrics
from services.edge.heartbeats import Heartbeats
from services.edge.ports import PublisherPort
from services.edge.waiting import Answer, Step, VerdictMemory
from shared.broker.publish import PublishError
from shared.broker.topology import Exchange
from shared.reply import Reply
from shared.wire import Said, decode_judgement, encode_said

_log = structlog.get_logger()
SAID_TYPE = "gatepost.said.v1"
_SAID_DEADLINE_S = 5.0
_SAID_UNDER_WAY_LIMIT = 2000
# How often it is looked whether anybody can still give a verdict.
_WATCH_S = 1.0

NO_CONTENT = "none: no content process lives"
TOO_LATE = "none: no verdict in time"
SHUTDOWN = "none: edge shuts down"


def queued(message_id: str) -> Reply:
    """Return the reply to a message that is safe."""
    return Reply(250, "2.0.0", f"queued as {message_id}")


class Verdicts:
    """The waiting sessions of this process."""

    def __init__(self, publisher: PublisherPort, heartbeats: Heartbeats) -> None:
        self.memory = VerdictMemory()
        self._publisher = publisher
        self._heartbeats = heartbeats
        self._futures: dict[str, asyncio.Future[Answer]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._closing = False

    def begin(self, message_id: str, token: str) -> None:
        """Note an id that is about to be published."""
        self._futures[message_id] = asyncio.get_running_loop().create_future()
        self.memory.begin(message_id, token)

    async def confirmed(self, message_id: str, deadline_s: float) -> Answer:
        """The broker has it: return the answer, at the latest when the deadline has passed."""
        loop = asyncio.get_running_loop()
        future = self._futures[message_id]
        self._do(self.memory.confirmed(message_id, loop.time()))
        if not future.done():
            if self._closing:
                self.settle(message_id, queued(message_id), SHUTDOWN)
            elif not self._heartbeats.worth_waiting(loop.time()):
                self.settle(message_id, queued(message_id), NO_CONTENT)
        if future.done():
            return future.result()
        self._watch = self._watch or loop.call_later(_WATCH_S, self._look)
        timer = loop.call_later(deadline_s, self.settle, message_id, queued(message_id), TOO_LATE)
        try:
            return await future
        finally:
            timer.cancel()

    def settle(self, message_id: str, reply: Reply, verdict: str) -> None:
        """Answer an id if it still waits: a failed publish (content will learn it), the deadline."""
        self._do(self.memory.answered(message_id, reply, verdict, asyncio.get_running_loop().time()))

    def on_judgement(self, body: bytes) -> None:
        """Take a message from content. Raises WireError."""
        self._do(self.memory.judged(decode_judgement(body), asyncio.get_running_loop().time()))

    def on_heartbeat(self, body: bytes) -> None:
        """Take a heartbeat of a content process. Raises ValueError."""
        self._heartbeats.heard(body, asyncio.get_running_loop().time())

    async def close(self, timeout_s: float) -> None:
        """Let what is to be said be said, within the time."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=timeout_s)
        for task in self._under_way:
            task.cancel()

    def stop_waiting(self) -> None:
        """At shutdown: whatever is confirmed is answered 250 at once, now and from now on."""
        self._closing = True
        self._answer_confirmed(SHUTDOWN)

    def _look(self) -> None:
        self._watch = None
        loop = asyncio.get_running_loop()
        if not self._heartbeats.worth_waiting(loop.time()):
            self._answer_confirmed(NO_CONTENT)
        if self.memory.waiting:
            self._watch = loop.call_later(_WATCH_S, self._look)

    def _answer_confirmed(self, verdict: str) -> None:
        for message_id in self.memory.waiting_confirmed:
            self.settle(message_id, queued(message_id), verdict)

    def _do(self, step: Step) -> None:
        if step.answer is not None:
            future = self._futures.pop(step.answer.id)
            if not future.done():
                future.set_result(step.answer)
        for key, said in step.say:
            self._say(key, said)

    def _say(self, key: str, said: Said) -> None:
        if len(self._under_way) >= _SAID_UNDER_WAY_LIMIT:
            metrics.SAID_DROPPED.inc()
            return
        task = asyncio.get_running_loop().create_task(self._publish_said(key, said))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _publish_said(self, key: str, said: Said) -> None:
        try:
            # Without a confirm: content asks again if it hears nothing.
            await self._publisher.send(
                Exchange.SAID.value, key, encode_said(said), message_type=SAID_TYPE, deadline_s=_SAID_DEADLINE_S
            )
        except PublishError as error:
            metrics.SAID_DROPPED.inc()
            _log.warning("said-not-sent", id=said.id, cause=error.reason)
