"""Rates as sliding windows, in memory (PURE; the clock is an argument).

Owns: how a rate of `count` per `per_s` is enforced: in *no* span of `per_s` seconds are more than `count` counted, not
even at its edges. Time is cut into slots of one twelfth of a window; what was counted is forgotten with its slot, at
the earliest after `per_s`, at the latest a twelfth later. What is refused is not counted. An ask for more than the
whole `count` is always refused. A key is counted apart for each window length.
Bounds: so many keys per window length (of which the policy knows four); those that nobody counted for longest go first.
"""

from collections import OrderedDict
from collections.abc import Sequence

from shared.state.port import Ask

SLOTS = 12
# How many windows that ran out are forgotten for each new one: more than one, so that they become fewer.
_SWEPT = 4


class _Window:
    """What was counted: by slot, oldest first, and their sum."""

    __slots__ = ("slots", "total")

    def __init__(self) -> None:
        self.slots: dict[int, int] = {}
        self.total = 0

    def forget(self, until: int) -> None:
        """Forget the slots up to one."""
        for slot in list(self.slots):
            if slot > until:
                return
            self.total -= self.slots.pop(slot)

    def count(self, slot: int, amount: int) -> None:
        self.slots[slot] = self.slots.get(slot, 0) + amount
        self.total += amount

    def last(self) -> int:
        return next(reversed(self.slots), -1)


class Windows:
    """The windows of all keys."""

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        # By window length; in each, the one counted last stands last, so that what runs out first stands first.
        self._tables: dict[int, OrderedDict[str, _Window]] = {}

    def take(self, asks: Sequence[Ask], now_s: float) -> Ask | None:
        """Count all of them, or none: return the first that would exceed its rate."""
        for number, ask in enumerate(asks):
            if not self._count(ask, now_s):
                for earlier in asks[:number]:
                    self._uncount(earlier, now_s)
                return ask
        return None

    def _count(self, ask: Ask, now_s: float) -> bool:
        rate, key = ask.rate, ask.key
        if ask.amount > rate.count:
            return False
        slot = int(now_s * SLOTS / rate.per_s)
        table = self._tables.get(rate.per_s)
        if table is None:
            table = self._tables[rate.per_s] = OrderedDict()
        window = table.get(key)
        if window is None:
            self._make_room(table, slot)
            window = table[key] = _Window()
        else:
            window.forget(slot - SLOTS - 1)
            if window.total + ask.amount > rate.count:
                return False
            table.move_to_end(key)
        window.count(slot, ask.amount)
        return True

    def _uncount(self, ask: Ask, now_s: float) -> None:
        window = self._tables[ask.rate.per_s].get(ask.key)
        if window is not None:  # else another key of the same asks took its room
            window.count(int(now_s * SLOTS / ask.rate.per_s), -ask.amount)

    def _make_room(self, table: OrderedDict[str, _Window], slot: int) -> None:
        for _ in range(_SWEPT):
            oldest = next(iter(table), None)
            if oldest is None or table[oldest].last() >= slot - SLOTS:
                break
            del table[oldest]
        while len(table) >= self._max_keys:
            table.popitem(last=False)
