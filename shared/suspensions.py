"""What stands suspended by the orders so far (PURE).

Owns: the rule that a target stays suspended until it is resumed itself or all is, and that a later order wins, in
whatever order they are read.
"""

from collections import OrderedDict
from collections.abc import Iterable

from shared.order import By, Order, OrderKind, Target

# Targets beyond this are forgotten, the oldest first, so that a script that runs wild costs no memory.
LIMIT = 10_000
EVERYTHING = Target(By.ALL)


class Suspensions:
    """The latest suspension or resumption of each target."""

    def __init__(self) -> None:
        self._latest: OrderedDict[Target, Order] = OrderedDict()

    def take(self, order: Order) -> bool:
        """Note an order to suspend or resume. Returns whether it changes anything."""
        known = self._latest.get(order.target)
        # The stream is read again after a lost link: what came later stays so meanwhile.
        if known is not None and (known.at, known.id) >= (order.at, order.id):
            return False
        self._latest[order.target] = order
        self._latest.move_to_end(order.target)
        if len(self._latest) > LIMIT:
            self._drop_one()
        return True

    def of(self, targets: Iterable[Target]) -> Order | None:
        """Return the order that suspends one of the targets, or None."""
        if not self._latest:
            return None
        resumed_at = self._resumed_at()
        for target in targets:
            order = self._latest.get(target)
            if order is not None and order.kind is OrderKind.SUSPEND and order.at > resumed_at:
                return order
        return None

    def all(self) -> list[Order]:
        """Return the orders by which something is suspended now, the oldest first."""
        resumed_at = self._resumed_at()
        return [one for one in self._latest.values() if one.kind is OrderKind.SUSPEND and one.at > resumed_at]

    def knows(self, target: Target) -> bool:
        """Whether there was an order for this very target."""
        return target in self._latest

    def __len__(self) -> int:
        return len(self._latest)

    def _resumed_at(self) -> float:
        order = self._latest.get(EVERYTHING)
        return order.at if order is not None and order.kind is OrderKind.RESUME else 0.0

    def _drop_one(self) -> None:
        # A resumption says little by itself; a suspension is forgotten only where there is nothing else.
        resumed = (target for target, order in self._latest.items() if order.kind is OrderKind.RESUME)
        del self._latest[next(resumed, next(iter(self._latest)))]
