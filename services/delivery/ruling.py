"""What the orders in force say of a message (PURE).

Owns: `OrderBook`, the orders that this process knows, and `Ruling`.
Which orders concern a message: those by its id or its parent's, by its first next hop, by the domain of a recipient,
and by `all`. Of several that say where it goes, or how it ends, the newest counts; what is cancelled is never revived.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from shared.address import AddressError, parse_domain
from shared.envelope import Envelope, Recipient
from shared.event import Facts
from shared.order import LONGEST_LIFETIME_S, By, Order, OrderKind, Target, hop_key
from shared.reply import Reply
from shared.routes import Route
from shared.suspensions import EVERYTHING, Suspensions

# Beyond it the oldest are forgotten, so that a script that runs wild costs no memory.
LIMIT = 10_000
_RETURNED = "Returned by the administrator"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to be done with a message by order.

    apart: groups of its recipients for which different orders hold; then nothing else is said, and each group is to
    become a message of its own. ends: the order that cancels or bounces it. reroute: the order that says where it goes.
    retry: the order by which it is tried at once, whatever it waits for. suspended: the order that holds it back.
    """

    ends: Order | None = None
    reroute: Order | None = None
    retry: Order | None = None
    suspended: Order | None = None
    apart: tuple[tuple[Recipient, ...], ...] = ()

    @property
    def to(self) -> Route | None:
        """Where it goes instead of where the policy says."""
        return self.reroute.route if self.reroute else None


NOTHING = Ruling()


class OrderBook:
    """The orders that count."""

    def __init__(self) -> None:
        self._suspensions = Suspensions()
        self._single: OrderedDict[str, Order] = OrderedDict()
        self._by_target: dict[Target, dict[str, Order]] = {}

    def take(self, order: Order, now: float) -> bool:
        """Put an order in force; one that is known, replaced or too old changes nothing. Returns whether it is new."""
        if order.kind.stands:
            return self._suspensions.take(order)
        self._forget(now)
        if order.id in self._single or order.at < now - LONGEST_LIFETIME_S:
            return False
        self._single[order.id] = order
        self._by_target.setdefault(order.target, {})[order.id] = order
        return True

    def ruling(self, envelope: Envelope, hop: str, now: float) -> Ruling:
        """Return what holds for a message whose first next hop is this by the policy. now: Unix seconds."""
        if not self._single and not self._suspensions:
            return NOTHING
        return self._ruling(envelope, hop, now)

    def suspended_hop(self, hop: str) -> Order | None:
        """Return the order that holds back all mail for a hop, or None."""
        return self._suspensions.of((EVERYTHING, Target(By.HOP, hop)))

    @property
    def is_full(self) -> bool:
        """Whether orders are forgotten for want of room."""
        return len(self._single) >= LIMIT

    def __len__(self) -> int:
        return len(self._single) + len(self._suspensions)

    def _ruling(self, envelope: Envelope, hop: str, now: float) -> Ruling:
        targets = [EVERYTHING, Target(By.HOP, hop), *(Target(By.MESSAGE, one) for one in _ids(envelope))]
        domains = dict.fromkeys(_domain(recipient) for recipient in envelope.recipients)
        named = [domain for domain in domains if self._knows(Target(By.DOMAIN, domain))]
        if not named:
            domain = next(iter(domains), "")
            return self._for_targets(envelope, targets, domain, now)
        rulings = {
            domain: self._for_targets(envelope, [*targets, Target(By.DOMAIN, domain)], domain, now)
            for domain in domains
        }
        groups: dict[Ruling, list[Recipient]] = {}
        for recipient in envelope.recipients:
            groups.setdefault(rulings[_domain(recipient)], []).append(recipient)
        if len(groups) == 1:
            return next(iter(groups))
        return Ruling(apart=tuple(map(tuple, groups.values())))

    def _for_targets(self, envelope: Envelope, targets: list[Target], domain: str, now: float) -> Ruling:
        reroute = _newest(self._concerning(envelope, targets, now), OrderKind.REROUTE)
        if reroute is not None and reroute.route is not None:
            # It is shown as waiting for that hop now, so orders by that name mean it, too.
            targets = [*targets, Target(By.HOP, hop_key(reroute.route, domain))]
        found = list(self._concerning(envelope, targets, now))
        at_once = _newest(found, OrderKind.RETRY, OrderKind.REROUTE)
        return Ruling(
            ends=_newest(found, OrderKind.CANCEL, OrderKind.BOUNCE),
            reroute=reroute,
            retry=at_once if at_once is not None and at_once.at > envelope.retry.tried_at else None,
            # A suspended hop is the hop's own matter: a message may have another one.
            suspended=self._suspensions.of(target for target in targets if target.by is not By.HOP),
        )

    def _concerning(self, envelope: Envelope, targets: list[Target], now: float) -> Iterator[Order]:
        oldest = now - LONGEST_LIFETIME_S
        for target in targets:
            for order in self._by_target.get(target, {}).values():
                if order.at > envelope.received_at and order.at >= oldest:
                    yield order

    def _knows(self, target: Target) -> bool:
        return target in self._by_target or self._suspensions.knows(target)

    def _forget(self, now: float) -> None:
        while self._single:
            oldest = next(iter(self._single.values()))
            if oldest.at >= now - LONGEST_LIFETIME_S and len(self._single) < LIMIT:
                return
            del self._single[oldest.id]
            of_target = self._by_target[oldest.target]
            del of_target[oldest.id]
            if not of_target:
                del self._by_target[oldest.target]


def bounce_reply(order: Order) -> Reply:
    """Return the reply that a bounced message ends with; its sender reads it."""
    # RFC 3463 §3.1: X.0.0, for an administrator's reasons are none of the standard's.
    return Reply(550, "5.0.0", f"{_RETURNED}: {_ascii(order.why)}" if order.why else _RETURNED)


def ordered_facts(order: Order, envelope: Envelope) -> Facts:
    """Return the facts of the event that tells that an order was followed."""
    facts: Facts = {
        "order": order.kind.value,
        "order_id": order.id,
        "by": order.who,
        "why": order.why,
        "recipients": [recipient.address for recipient in envelope.recipients],
    }
    return facts | {"to": order.to} if order.to else facts


def _ascii(text: str) -> str:
    # RFC 5321 §4.2: the text of a reply is printable US-ASCII.
    return "".join(char if " " <= char <= "~" else "?" for char in text)


def _ids(envelope: Envelope) -> tuple[str, ...]:
    # A report's parent is the message that it is about: who cancels that does not mean the report.
    is_report = envelope.listener == "delivery" and not envelope.sender
    return (envelope.id,) if envelope.parent is None or is_report else (envelope.id, envelope.parent)


def _domain(recipient: Recipient) -> str:
    domain = recipient.domain
    if domain.isascii():
        return domain
    # RFC 5890 §2.3.2.4: the same domain in either form. One that has no other form is no order's.
    try:
        return parse_domain(domain)
    except AddressError:
        return domain


def _newest(orders: Iterator[Order] | list[Order], *kinds: OrderKind) -> Order | None:
    return max((order for order in orders if order.kind in kinds), key=lambda order: (order.at, order.id), default=None)
