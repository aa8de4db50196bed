"""What was said of recipients, for a while (PURE; the time is an argument).

Owns: a `yes` is kept long and after a while counts as stale: it still serves, and is to be asked again. A `no` and an
`unsure` are kept shortly; an `unsure` never takes the place of a `yes`.
Bounds: those least asked for go first. Refused recipients have a table of their own, so that guessing pushes out no
recipient that is known.
"""

from collections import OrderedDict
from dataclasses import dataclass

from services.edge.decide.recipient import Known

MAX_KNOWN = 50_000
MAX_OTHERS = 10_000


@dataclass(frozen=True, slots=True)
class Kept:
    """For how many seconds answers are kept. fresh_s: after it, a `yes` is stale."""

    yes_s: float
    fresh_s: float
    no_s: float
    unsure_s: float


@dataclass(slots=True)
class _Yes:
    until: float
    stale_at: float


class Memory:
    """Answers by recipient."""

    def __init__(self, kept: Kept, max_known: int = MAX_KNOWN, max_others: int = MAX_OTHERS) -> None:
        self._kept = kept
        self._max_known = max_known
        self._max_others = max_others
        self._known: OrderedDict[str, _Yes] = OrderedDict()
        self._others: OrderedDict[str, tuple[Known, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known) + len(self._others)

    def recall(self, recipient: str, now: float) -> Known | None:
        """Return what was said, or None."""
        if (yes := self._known.get(recipient)) is not None and yes.until > now:
            self._known.move_to_end(recipient)
            return Known.YES
        if (other := self._others.get(recipient)) is not None and other[1] > now:
            self._others.move_to_end(recipient)
            return other[0]
        return None

    def is_stale(self, recipient: str, now: float) -> bool:
        """Whether a recipient that is known is to be asked for again."""
        yes = self._known.get(recipient)
        return yes is not None and yes.stale_at <= now

    def note(self, recipient: str, known: Known, now: float) -> None:
        """Keep an answer."""
        if known is Known.YES:
            self._others.pop(recipient, None)
            self._known[recipient] = _Yes(now + self._kept.yes_s, now + self._kept.fresh_s)
            self._known.move_to_end(recipient)
        elif known is Known.NO:
            self._known.pop(recipient, None)
            self._keep_other(recipient, known, now + self._kept.no_s)
        elif (yes := self._known.get(recipient)) is not None and yes.until > now:
            yes.stale_at = now + self._kept.unsure_s
        else:
            self._keep_other(recipient, known, now + self._kept.unsure_s)
        self._trim()

    def forget_refused(self) -> None:
        """Forget all but the recipients that are known."""
        self._others.clear()

    def _keep_other(self, recipient: str, known: Known, until: float) -> None:
        self._others[recipient] = (known, until)
        self._others.move_to_end(recipient)

    def _trim(self) -> None:
        while len(self._known) > self._max_known:
            self._known.popitem(last=False)
        while len(self._others) > self._max_others:
            self._others.popitem(last=False)
