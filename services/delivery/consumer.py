"""One message from the queue to its acknowledgement (I/O).

Owns: the order of things: read, obey orders, wait for its time, complete and expand it once, split by hop, take a place
at a hop, attempt, go to the next hop where one cannot be reached, settle, acknowledge.
Input: messages of `gatepost.delivery` and `gatepost.delivery.again`. Output: the message at its hop, or published anew
to where it waits or is kept.
On failure: nothing is acknowledged before what follows from it is confirmed; an error hands the message back.
"""

import asyncio
import datetime as dt
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from services.delivery import metrics
from services.delivery.courier import Courier, Errand
from services.delivery.first import Beginner
from services.delivery.gate import Busy
from services.delivery.hops import Hops
from services.delivery.interface import warm_asks
from services.delivery.outcome import Attempt, Status, same_for_all
from services.delivery.plan import plan_after, plan_waiting
from services.delivery.ports import Delivered, OrdersPort, SourcesPort
from services.delivery.retry import early_by_s
from services.delivery.route import Hop, Part, hop_of, in_turn, split
from services.delivery.ruling import Ruling, bounce_reply, ordered_facts
from services.delivery.settle import Settlement
from services.delivery.traffic.manner import manner_of
from services.delivery.unacked import Achieved, Unacked
from shared import tracing
from shared.broker.ports import EventsPort, VersionedPolicyPort
from shared.envelope import Envelope
from shared.event import EventKind, Facts, Stage
from shared.order import Order, OrderKind
from shared.policy import Policy
from shared.wire import WireError, read_envelope

_log = structlog.get_logger()
# An administrator's order ends it within a minute where few wait.
_SUSPENDED_S = 60.0


@dataclass(frozen=True, slots=True)
class _Work:
    """A message under way, and by which policy. terms: names the policy's version, for kept sessions."""

    envelope: Envelope
    message: bytes
    policy: Policy
    terms: int


class DeliveryConsumer:
    """Handles each message; `handle` is the broker consumer's handler."""

    def __init__(
        self,
        *,
        courier: Courier,
        hops: Hops,
        settlement: Settlement,
        beginner: Beginner,
        sources: SourcesPort,
        orders: OrdersPort,
        events: EventsPort,
        in_force: VersionedPolicyPort,
        memory_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._courier = courier
        self._hops = hops
        self._settlement = settlement
        self._beginner = beginner
        self._sources = sources
        self._orders = orders
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
            work = _Work(envelope, delivery.body, self._in_force.policy, self._in_force.version)
            await self._see_through(work, redelivered=delivery.redelivered)
        finally:
            self._held_bytes -= len(delivery.body)
            del self._under_way[envelope.id]
        if delivery.stale:
            self._unacked.remember(envelope.id, None)

    async def _see_through(self, work: _Work, *, redelivered: bool) -> None:
        envelope, policy = work.envelope, work.policy
        achieved = self._unacked.recall(envelope.id, redelivered=redelivered)
        if achieved is not None:
            await self._finish(work, achieved)
            return
        # Where it goes is known once its recipients are: the orders by hop hold from then on.
        parts = split(envelope.recipients, policy) if envelope.expanded else ()
        ruling = self._rule(work, parts)
        if await self._is_obeyed(work, ruling):
            return
        early_s = early_by_s(envelope.retry.not_before, self._clock())
        if early_s and ruling.retry is None:
            await self._settlement.park(envelope, work.message, early_s)
            return
        if not envelope.expanded:
            begun = await self._beginner.begin(envelope, work.message, policy)
            if begun is None:
                return
            work = _Work(begun.envelope, begun.message, policy, work.terms)
            parts = split(work.envelope.recipients, policy)
            ruling = self._rule(work, parts)
            if await self._is_obeyed(work, ruling):
                return
        await self._on_its_way(work, parts, ruling)

    def _rule(self, work: _Work, parts: tuple[Part, ...]) -> Ruling:
        """Return what the orders say of a message that goes in these parts by the policy."""
        # An order by hop is for what goes to that hop alone: what is to be split is ruled in its parts.
        hop = parts[0].hop.key if len(parts) == 1 else ""
        return self._orders.ruling(work.envelope, hop, self._clock())

    async def _is_obeyed(self, work: _Work, ruling: Ruling) -> bool:
        """Carry out an order that ends a message's way, or takes it apart; return whether there was one."""
        if ruling.apart:
            parts = [work.envelope.with_recipients(group) for group in ruling.apart]
            await self._settlement.divide(work.envelope, work.message, parts)
            return True
        if ruling.ends is not None:
            await self._end(work, hop_of(work.envelope.recipients[0].domain, work.policy), ruling.ends)
            return True
        return False

    async def _on_its_way(self, work: _Work, parts: tuple[Part, ...], ruling: Ruling) -> None:
        if ruling.to is not None:
            parts = split(work.envelope.recipients, work.policy, ruling.to)
        if len(parts) > 1:
            await self._settlement.split(work.envelope, work.message, parts)
            return
        part = parts[0]
        if ruling.suspended is not None:
            busy = Busy(f"suspended: {ruling.suspended.why} ({ruling.suspended.who})", _SUSPENDED_S)
            await self._wait_elsewhere(work, part.hop, busy)
            return
        await self._try(work, part, ruling)

    async def _try(self, work: _Work, part: Part, ruling: Ruling) -> None:
        retry = work.envelope.retry
        with tracing.mail(
            Stage.DELIVERY,
            work.envelope.id,
            whole=work.envelope.parent,
            visit=retry.attempts,
            goes_on=retry.tried_at > 0,
        ) as visit:
            visit.note(put_off=retry.attempts, size_bytes=len(work.message), recipients=len(part.recipients))
            if not await self._try_hops(work, part, ruling):
                # It may come by many times.
                visit.drop()

    async def _try_hops(self, work: _Work, part: Part, ruling: Ruling) -> bool:
        """Try the hops in turn until one has something to say of the message; return whether any was attempted."""
        hops = in_turn(part.choices, random.random)
        # For all of them together: a message that is held for long is brought again by the broker, and goes out twice.
        until = self._courier.deadline()
        busy: tuple[Busy, Hop] | None = None
        attempted: tuple[Attempt, Hop] | None = None
        for hop in hops:
            try:
                self._check_memory(work.message)
                attempt = await self._attempt(work, hop, until)
            except Busy as error:
                busy = (error, hop) if busy is None or error.wait_s < busy[0].wait_s else busy
                continue
            attempted = attempt, hop
            if not _is_elsewhere(attempt) or asyncio.get_running_loop().time() >= until:
                break
        if attempted is not None:
            if ruling.retry is not None:
                self._events.tell(work.envelope.id, EventKind.ORDERED, **ordered_facts(ruling.retry, work.envelope))
            with tracing.span("settle"):
                await self._settle(work, *attempted)
        elif busy is not None:
            await self._wait_elsewhere(work, busy[1], busy[0])
        return attempted is not None

    async def _finish(self, work: _Work, achieved: Achieved) -> None:
        """Do what was left undone of a message whose attempt is over."""
        metrics.REPEATED_ACKS.inc()
        if achieved.attempt is not None and achieved.envelope is not None:
            message = self._beginner.message_of(work.envelope, work.message, work.policy)
            done = _Work(achieved.envelope, message, work.policy, work.terms)
            hop = hop_of(achieved.envelope.recipients[0].domain, work.policy)
            await self._settle(done, achieved.attempt, hop)

    async def _end(self, work: _Work, hop: Hop, order: Order) -> None:
        """Give a message up because an administrator says so."""
        self._events.tell(work.envelope.id, EventKind.ORDERED, **ordered_facts(order, work.envelope))
        metrics.ORDERED.labels(order.kind.value).inc()
        if order.kind is OrderKind.BOUNCE:
            attempt = Attempt(same_for_all(work.envelope.recipients, bounce_reply(order)))
            await self._settle(work, attempt, hop)

    def _check_memory(self, message: bytes) -> None:
        # The broker's prefetch counts messages, not octets. A message alone is taken, however large.
        if self._held_bytes > max(self._memory_bytes, len(message)):
            raise Busy("waiting for memory")

    async def _attempt(self, work: _Work, hop: Hop, until: float) -> Attempt:
        """Attempt a hop. until: when it must be over, in loop time. Raises Busy."""
        envelope, rules = work.envelope, hop.rules(work.policy)
        sources = self._sources(work.policy, envelope.sender, rules, envelope.id)
        caps = warm_asks(sources, hop.key, dt.datetime.fromtimestamp(self._clock(), dt.UTC).date())
        state = await self._hops.enter(hop.key, rules, caps)
        begun = time.monotonic()
        try:
            errand = Errand(hop, envelope, work.message, state, rules, sources, work.terms, until=until)
            with tracing.span("attempt", tracing.Kind.CLIENT) as tried:
                tried.note(hop=hop.key)
                attempt = await self._courier.attempt(errand)
                _note(tried, attempt)
        except BaseException:
            # Busy, or given up: nothing was learned of the hop.
            state.gate.withdraw()
            raise
        took_s = time.monotonic() - begun
        state.gate.leave(took_s, manner_of(attempt))
        self._tell_attempt(envelope, attempt, hop.key, took_s)
        return attempt

    async def _settle(self, work: _Work, attempt: Attempt, hop: Hop) -> None:
        rules = hop.retry_rules(work.policy)
        plan = plan_after(work.envelope, attempt, rules, self._clock())
        try:
            await self._settlement.carry_out(plan, work.envelope, work.message, hop.key, rules)
        except Exception:
            # What is delivered stays so: when the message comes again, only the rest is done.
            self._unacked.remember(work.envelope.id, attempt, work.envelope)
            raise

    async def _wait_elsewhere(self, work: _Work, hop: Hop, busy: Busy) -> None:
        """Send a message for a hop that cannot take it now to the ladder; that is no attempt, but its life runs on."""
        reason = str(busy)
        metrics.PARKED.labels(reason.partition(":")[0]).inc()
        wait_s = self._hops.away_s(hop.key, busy)
        rules = hop.retry_rules(work.policy)
        plan = plan_waiting(work.envelope, reason, wait_s, rules, self._clock())
        await self._settlement.carry_out(plan, work.envelope, work.message, hop.key, rules)

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
        dkim: Facts = {"dkim": attempt.signing.facts()} if attempt.signing is not None else {}
        self._events.tell(
            envelope.id,
            EventKind.ATTEMPT,
            hop=hop,
            peer=attempt.peer,
            tls=attempt.tls,
            outcomes=outcomes,
            took_ms=round(took_s * 1000, 1),
            source=attempt.source,
            security=attempt.security,
            **dkim,
        )


def _note(tried: tracing.Work, attempt: Attempt) -> None:
    if not tried.is_traced:
        return
    statuses = [outcome.status for outcome in attempt.outcomes]
    tried.note(
        peer=attempt.peer,
        tls=attempt.tls or "none",
        security=attempt.security,
        replies=tuple(sorted({f"{outcome.reply.code // 100}xx" for outcome in attempt.outcomes})),
        **{status.value: statuses.count(status) for status in Status},
    )


def _is_elsewhere(attempt: Attempt) -> bool:
    """Whether another hop may be tried at once: this one knows nothing of the message, or may not have it."""
    if attempt.hop_failed is not None:
        return all(outcome.status is Status.DEFERRED and not outcome.remote for outcome in attempt.outcomes)
    return attempt.is_kept_back
