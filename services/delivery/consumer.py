"""One message from the queue to its acknowledgement (I/O).

Owns: the order of things: read, wait for its time, split by hop, take a place at the hop, attempt, settle, acknowledge.
Input: messages of `gatepost.delivery`. Output: the message at its hop, or published anew to where it waits or is kept.
On failure: nothing is acknowledged before what follows from it is confirmed; an error hands the message back.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog

from services.delivery import metrics
from services.delivery.courier import Courier
from services.delivery.gate import SHORTEST_PARK_S, Busy
from services.delivery.hops import Hops, HopState
from services.delivery.outcome import Attempt, same_for_all
from services.delivery.plan import plan_after
from services.delivery.ports import Delivered
from services.delivery.retry import early_by_s
from services.delivery.route import Part, split
from services.delivery.settle import Settlement
from services.delivery.unacked import Achieved, Unacked
from shared.broker.ports import EventsPort, PolicyPort
from shared.envelope import Envelope
from shared.event import EventKind
from shared.policy import Policy
from shared.reply import Reply
from shared.wire import WireError, read_envelope

_log = structlog.get_logger()


class DeliveryConsumer:
    """Handles each message; `handle` is the broker consumer's handler."""

    def __init__(
        self,
        *,
        courier: Courier,
        hops: Hops,
        settlement: Settlement,
        events: EventsPort,
        in_force: PolicyPort,
        memory_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._courier = courier
        self._hops = hops
        self._settlement = settlement
        self._events = events
        self._in_force = in_force
        self._memory_bytes = memory_bytes
        self._held_bytes = 0
        self._clock = clock
        self._unacked = Unacked(clock)
        self._under_way: dict[str, asyncio.Task[Any]] = {}

    async def handle(self, delivery: Delivered) -> None:
        """See a message through. Raises PublishError (the caller hands the message back)."""
        if delivery.stale:
            return
        with metrics.UNDER_WAY.track_inprogress():
            try:
                envelope = read_envelope(delivery.message_type, delivery.headers)
            except WireError as error:
                _log.error("mail-unreadable", id=delivery.message_id, cause=str(error))
                await self._settlement.unreadable(delivery, str(error))
            else:
                await self._handle_mail(delivery, envelope)
            await delivery.ack()

    async def _handle_mail(self, delivery: Delivered, envelope: Envelope) -> None:
        # After a lost channel the broker brings what we are still at: the second waits for the first.
        while (earlier := self._under_way.get(envelope.id)) is not None:
            await asyncio.wait({earlier})
        task = asyncio.current_task()
        assert task is not None
        self._under_way[envelope.id] = task
        self._held_bytes += len(delivery.body)
        try:
            await self._see_through(delivery, envelope, self._in_force.policy)
        finally:
            self._held_bytes -= len(delivery.body)
            del self._under_way[envelope.id]
        if delivery.stale:
            self._unacked.remember(envelope.id, None)

    async def _see_through(self, delivery: Delivered, envelope: Envelope, policy: Policy) -> None:
        achieved = self._unacked.recall(envelope.id, redelivered=delivery.redelivered)
        if achieved is not None:
            await self._finish(delivery, envelope, achieved, policy)
            return
        early_s = early_by_s(envelope.retry.not_before, self._clock())
        if early_s:
            await self._settlement.park(envelope, delivery.body, early_s)
            return
        parts = split(envelope.recipients, policy)
        if len(parts) > 1:
            await self._settlement.split(envelope, delivery.body, parts)
            return
        try:
            self._check_memory(delivery)
            state = await self._hops.enter(parts[0].hop.key, policy.delivery.connections_per_hop)
        except Busy as busy:
            await self._wait_elsewhere(delivery, envelope, parts[0], policy, busy)
            return
        attempt = await self._attempt(delivery, envelope, parts[0], state, policy)
        await self._settle(delivery, envelope, attempt, parts[0], policy)

    async def _finish(self, delivery: Delivered, envelope: Envelope, achieved: Achieved, policy: Policy) -> None:
        """Do what was left undone of a message whose attempt is over."""
        metrics.REPEATED_ACKS.inc()
        if achieved.attempt is not None:
            part = split(envelope.recipients, policy)[0]
            await self._settle(delivery, envelope, achieved.attempt, part, policy)

    def _check_memory(self, delivery: Delivered) -> None:
        # The broker's prefetch counts messages, not octets. A message alone is taken, however large.
        if self._held_bytes > max(self._memory_bytes, len(delivery.body)):
            raise Busy("waiting for memory", SHORTEST_PARK_S)

    async def _attempt(
        self, delivery: Delivered, envelope: Envelope, part: Part, state: HopState, policy: Policy
    ) -> Attempt:
        begun = time.monotonic()
        failed: str | None = "given up"
        try:
            attempt = await self._courier.attempt(part.hop, envelope, delivery.body, state, policy.delivery)
            failed = attempt.hop_failed
        finally:
            took_s = time.monotonic() - begun
            state.gate.leave(policy.delivery.connections_per_hop, took_s, failed)
        self._tell_attempt(envelope, attempt, part.hop.key, took_s)
        return attempt

    async def _settle(
        self, delivery: Delivered, envelope: Envelope, attempt: Attempt, part: Part, policy: Policy
    ) -> None:
        plan = plan_after(envelope, attempt, policy.retry, self._clock())
        try:
            await self._settlement.carry_out(plan, envelope, delivery.body, part.hop.key, policy.retry)
        except Exception:
            # What is delivered stays so: when the message comes again, only the rest is done.
            self._unacked.remember(envelope.id, attempt)
            raise

    async def _wait_elsewhere(
        self, delivery: Delivered, envelope: Envelope, part: Part, policy: Policy, busy: Busy
    ) -> None:
        """Send a message for a hop that cannot take it now to the ladder; that is no attempt, but its life runs on."""
        if self._clock() - envelope.received_at >= policy.retry.lifetime_s:
            reply = Reply(451, "4.4.7", f"The next hop could not be reached in time; {busy}")
            attempt = Attempt(same_for_all(envelope.recipients, reply))
            await self._settle(delivery, envelope, attempt, part, policy)
            return
        reason = str(busy)
        metrics.PARKED.labels(reason.partition(":")[0]).inc()
        waiting = replace(envelope, retry=replace(envelope.retry, last_reply=reason[:500]))
        await self._settlement.park(waiting, delivery.body, busy.wait_s)
        # Told once per reason: a message may come by many times.
        if envelope.retry.last_reply != waiting.retry.last_reply:
            not_before = self._clock() + busy.wait_s
            self._events.tell(
                envelope.id, EventKind.RETRY, attempts=envelope.retry.attempts, not_before=not_before, reason=reason
            )

    def _tell_attempt(self, envelope: Envelope, attempt: Attempt, hop: str, took_s: float) -> None:
        metrics.ATTEMPT_SECONDS.observe(took_s)
        outcomes = []
        for outcome in attempt.outcomes:
            metrics.OUTCOMES.labels(outcome.status.value).inc()
            outcomes.append(
                {
                    "recipient": outcome.recipient.address,
                    "status": outcome.status.value,
                    "reply": str(outcome.reply),
                }
            )
        self._events.tell(
            envelope.id,
            EventKind.ATTEMPT,
            hop=hop,
            peer=attempt.peer,
            tls=attempt.tls,
            outcomes=outcomes,
            took_ms=round(took_s * 1000, 1),
        )
