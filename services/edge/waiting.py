"""Who waits for a verdict, and what was answered (PURE: the time is an argument).

Owns: DESIGN §4 as a state machine: an id is *publishing* (the broker has not confirmed), *waiting*, or answered. It is
answered once, by the first that comes of: a failed publish, a valid verdict, the deadline. Only 4xx and 5xx answers are
remembered, for an hour; so an id that is not known was answered 2xx.
Output: `Step`: the answer that this step decided, if any, and what is to be said to which content process.
Bounded: at most `REMEMBERED_LIMIT` answers; beyond it the oldest go first.
"""

import hmac
from collections import OrderedDict
from dataclasses import dataclass, field

from shared.reply import Reply
from shared.verdict import Action
from shared.wire import Judgement, Said

REMEMBER_S = 3600.0
REMEMBERED_LIMIT = 100_000
# How many processes may ask for the same id while it waits; there is one, or two after a redelivery.
_ASKERS_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client of an id is told, and which verdict that was: an action, or `none: …`."""

    id: str
    reply: Reply
    verdict: str

    @property
    def action(self) -> Action | None:
        """What content decided, None where it had no part in the answer."""
        return None if self.verdict.startswith("none:") else Action(self.verdict)


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one input. say: routing key of a content process, and what to tell it."""

    answer: Answer | None = None
    say: tuple[tuple[str, Said], ...] = ()


_NOTHING = Step()


@dataclass(slots=True)
class _Waiting:
    token: str
    confirmed: bool = False
    verdict: tuple[Reply, Action | None] | None = None
    askers: list[str] = field(default_factory=list)


class VerdictMemory:
    """The ids of this process that wait, and the answers that content must still be able to learn."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._remembered: OrderedDict[str, tuple[str, int, float]] = OrderedDict()

    @property
    def waiting(self) -> tuple[str, ...]:
        """The ids without an answer."""
        return tuple(self._waiting)

    @property
    def waiting_confirmed(self) -> tuple[str, ...]:
        """Those of them that are safe in the broker."""
        return tuple(message_id for message_id, waiting in self._waiting.items() if waiting.confirmed)

    @property
    def remembered(self) -> int:
        """How many answers are remembered."""
        return len(self._remembered)

    def begin(self, message_id: str, token: str) -> None:
        """Note an id that is about to be published."""
        self._waiting[message_id] = _Waiting(token)

    def confirmed(self, message_id: str, now: float) -> Step:
        """The broker has the message. A verdict that came before the confirm counts now."""
        waiting = self._waiting.get(message_id)
        if waiting is None:
            return _NOTHING
        waiting.confirmed = True
        return self._by_verdict(message_id, waiting, now) if waiting.verdict else _NOTHING

    def judged(self, judgement: Judgement, now: float) -> Step:
        """Take a verdict, or the question what was said."""
        waiting = self._waiting.get(judgement.id)
        if waiting is None:
            return self._recall(judgement, now)
        if not hmac.compare_digest(waiting.token.encode(), judgement.token.encode("utf-8", "replace")):
            return _NOTHING
        reply = judgement.reply
        if reply is not None and 300 <= reply.code < 400:
            # No answer to a whole message.
            return _NOTHING
        if reply is None and waiting.verdict is None:
            return Step(say=((judgement.said_key, Said(judgement.id, judgement.token, 0)),))
        if judgement.said_key not in waiting.askers and len(waiting.askers) < _ASKERS_LIMIT:
            waiting.askers.append(judgement.said_key)
        if waiting.verdict is None and reply is not None:
            waiting.verdict = (reply, judgement.action)
        # Never 250 without a confirm: before it, the publish may still fail and the answer be 451.
        return self._by_verdict(judgement.id, waiting, now) if waiting.confirmed else _NOTHING

    def answered(self, message_id: str, reply: Reply, verdict: str, now: float) -> Step:
        """Answer an id that still waits otherwise: a failed publish, the deadline, nobody to wait for."""
        waiting = self._waiting.pop(message_id, None)
        if waiting is None:
            return _NOTHING
        if not reply.positive:
            self._remember(message_id, waiting.token, reply.code, now)
        said = Said(message_id, waiting.token, reply.code)
        return Step(Answer(message_id, reply, verdict), tuple((key, said) for key in waiting.askers))

    def _by_verdict(self, message_id: str, waiting: _Waiting, now: float) -> Step:
        assert waiting.verdict is not None
        reply, action = waiting.verdict
        return self.answered(message_id, reply, action.value if action else "none: unnamed", now)

    def _recall(self, judgement: Judgement, now: float) -> Step:
        self._forget_old(now)
        remembered = self._remembered.get(judgement.id)
        code = 250
        if remembered is not None:
            token, code, _until = remembered
            if not hmac.compare_digest(token.encode(), judgement.token.encode("utf-8", "replace")):
                return _NOTHING
        return Step(say=((judgement.said_key, Said(judgement.id, judgement.token, code)),))

    def _remember(self, message_id: str, token: str, code: int, now: float) -> None:
        self._forget_old(now)
        self._remembered[message_id] = (token, code, now + REMEMBER_S)
        while len(self._remembered) > REMEMBERED_LIMIT:
            self._remembered.popitem(last=False)

    def _forget_old(self, now: float) -> None:
        while self._remembered:
            oldest = next(iter(self._remembered))
            if self._remembered[oldest][2] > now:
                return
            del self._remembered[oldest]
