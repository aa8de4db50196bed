"""What is done once with a message, before its first attempt (I/O: publishes what it becomes).

Owns: completing mail of our own users, putting those in the place of its recipients whom aliases name, SRS and BATV;
and telling of it.
Output: the one message that it stays, or nothing where it has become several, each of which is published, or waits.
On failure: PublishError; what needs a secret that the settings lack waits, with the reason in its trace.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from services.delivery.expand import Expansion, expand
from services.delivery.outgoing.prepare import prepare
from services.delivery.plan import expanded_notice, plan_waiting
from services.delivery.route import hop_of, split
from services.delivery.settle import Settlement
from shared.broker.ports import EventsPort
from shared.envelope import Envelope
from shared.event import EventKind
from shared.policy import Policy
from shared.rewriting.keys import RewritingKeys

_log = structlog.get_logger()
_LACKING_S = 300.0


@dataclass(frozen=True, slots=True)
class Begun:
    """A message that stays one."""

    envelope: Envelope
    message: bytes


class Beginner:
    """Begins with messages. our_name: for Message-IDs. clock: Unix seconds."""

    def __init__(
        self,
        settlement: Settlement,
        events: EventsPort,
        keys: RewritingKeys,
        our_name: str,
        clock: Callable[[], float],
    ) -> None:
        self._settlement = settlement
        self._events = events
        self._keys = keys
        self._our_name = our_name
        self._clock = clock

    def message_of(self, envelope: Envelope, message: bytes, policy: Policy) -> bytes:
        """Return the octets of a message as they leave."""
        return prepare(envelope, message, policy, self._our_name)[1]

    async def begin(self, envelope: Envelope, message: bytes, policy: Policy) -> Begun | None:
        """Return what a message becomes, or None where it has become several, or waits. Raises PublishError."""
        prepared, message = prepare(envelope, message, policy, self._our_name)
        expansion = expand(prepared, policy, self._keys, self._clock())
        self._tell(envelope, expansion)
        if expansion.deferred:
            await self._put_off(prepared, message, expansion, policy)
        if (notice := expanded_notice(envelope, expansion.expanded)) is not None:
            rules = hop_of(envelope.recipients[0].domain, policy).retry_rules(policy)
            await self._settlement.report(notice, envelope, message, rules)
        if len(expansion.envelopes) == 1 and not expansion.deferred:
            return Begun(expansion.envelopes[0], message)
        if expansion.envelopes:
            await self._settlement.divide(envelope, message, _by_hop(expansion, policy))
        return None

    async def _put_off(self, prepared: Envelope, message: bytes, expansion: Expansion, policy: Policy) -> None:
        """Let recipients wait for the administrator, apart from the others."""
        _log.error("rewriting-secrets-missing", id=prepared.id, cause=expansion.problem)
        waiting = prepared.with_recipients(expansion.deferred)
        hop = hop_of(expansion.deferred[0].domain, policy)
        why = f"waiting for rewriting_secrets in the settings of delivery: {expansion.problem}"
        if expansion.envelopes:
            (waiting,) = self._settlement.copies(prepared, [waiting])
            self._settlement.tell_split(prepared, [waiting])
        rules = hop.retry_rules(policy)
        plan = plan_waiting(waiting, why, _LACKING_S, rules, self._clock())
        await self._settlement.carry_out(plan, waiting, message, hop.key, rules)

    def _tell(self, envelope: Envelope, expansion: Expansion) -> None:
        senders = {one.sender for one in expansion.envelopes} - {envelope.sender}
        if not expansion.recipients and not senders:
            return
        changed = [{"from": one.recipient, "to": one.to, "by": one.by} for one in expansion.recipients]
        sender = ", ".join(sorted(senders))
        self._events.tell(envelope.id, EventKind.EXPANDED, recipients=changed, sender=sender)


def _by_hop(expansion: Expansion, policy: Policy) -> list[Envelope]:
    """Return the envelopes that the queue gets, each for one hop."""
    return [
        replace(one, hop=part.hop.key, recipients=part.recipients)
        for one in expansion.envelopes
        for part in split(one.recipients, policy)
    ]
