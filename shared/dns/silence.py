"""PURE. Which names are not asked for a while, because the nameservers of their zone leave us waiting.

Owns: who has waited in vain for what, and until when nobody shall. The time is an argument, in seconds of any clock
that only moves forward. One sender's dead nameservers then cost a few messages their time, and not all of them.
Bounded: the zones that were silent longest ago are forgotten first. docs/adr/2-slow-dns.md says why it is made so.
"""

from collections import OrderedDict
from dataclasses import dataclass

from shared.dns.names import within

# From then on a look-up counts as one that waits in vain, until it has its answer.
SLOW_S = 1.0
# One message waits for about four names of its sender at a time: two such messages are none too many.
MAX_WAITS = 8
WINDOW_S = 60.0
FIRST_REST_S = 5.0
MAX_REST_S = 60.0
MAX_ZONES = 10_000

_REVERSE_NETWORK = {"in-addr.arpa": 5, "ip6.arpa": 14}  # labels of a /24 and of a /48
_SHORT_LABEL = 3

Question = tuple[str, str]


def zone_of(name: str) -> str:
    """Return the zone that a canonical name is most likely of.

    That is its last two labels, and three where those look like co.uk or com.au. Deliberately without the public
    suffix list: where this is wrong, neighbours of a silent zone get a temporary error for some seconds.
    """
    labels = name.split(".")
    kept = _REVERSE_NETWORK.get(".".join(labels[-2:]), 2)
    if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= _SHORT_LABEL:
        kept = 3
    return ".".join(labels[-kept:])


def common_suffix(one: str, other: str) -> str:
    """Return the nearest name that both names are at or below."""
    while not within(other, one):
        one = one.partition(".")[2]
    return one


@dataclass(slots=True)
class _Silence:
    """One zone. waits: look-ups that waited in vain since its last answer. rests_until_s: not to be asked before.

    suffix: all of these lie at or below it. rest_s: how long the present rest is, 0 before the first. tried: whether
    one asks at present, to see if it answers.
    """

    suffix: str
    waits: int = 0
    last_wait_s: float = 0.0
    rest_s: float = 0.0
    rests_until_s: float = 0.0
    tried: bool = False


class SilentZones:
    """The zones of a process that leave us waiting, each for one record type: some servers are silent for one alone."""

    def __init__(self, max_zones: int = MAX_ZONES) -> None:
        self._max_zones = max_zones
        self._silences: OrderedDict[Question, _Silence] = OrderedDict()

    def __len__(self) -> int:
        return len(self._silences)

    def may_ask(self, question: Question, now_s: float) -> bool:
        """Return whether to wait for an answer now. After each rest one may, to see whether they answer again."""
        silence = self._resting(question)
        if silence is None:
            return True
        if now_s < silence.rests_until_s:
            return False
        silence.tried = True
        silence.rests_until_s = now_s + silence.rest_s
        return True

    def rests(self, question: Question, now_s: float) -> bool:
        """Return whether those who wait for this shall give up."""
        silence = self._resting(question)
        return silence is not None and now_s < silence.rests_until_s

    def waited(self, question: Question, now_s: float) -> str:
        """Note that a look-up has waited for SLOW_S. Return what is not asked from now on for that, "" for nothing."""
        silence = self._noted(question, now_s)
        if silence.tried:
            silence.rest_s = min(2 * silence.rest_s, MAX_REST_S)
        elif silence.waits >= MAX_WAITS and not silence.rest_s:
            silence.rest_s = FIRST_REST_S
        else:
            return ""
        silence.tried = False
        silence.rests_until_s = now_s + silence.rest_s
        return silence.suffix

    def answered(self, question: Question) -> None:
        """Note an answer, or a refusal that came soon: nobody is left waiting."""
        if self._silences:
            self._silences.pop(_key(question), None)

    def _resting(self, question: Question) -> _Silence | None:
        """Return the silence of the question's zone, if it has rested and the name is of those that were silent."""
        silence = self._silences.get(_key(question)) if self._silences else None
        return silence if silence is not None and silence.rest_s and within(question[0], silence.suffix) else None

    def _noted(self, question: Question, now_s: float) -> _Silence:
        """Return the silence of the question's zone, with one wait more."""
        key = _key(question)
        silence = self._silences.pop(key, None)
        if silence is None or now_s - silence.last_wait_s > WINDOW_S + silence.rest_s:
            silence = _Silence(question[0])
        elif not within(question[0], silence.suffix):
            # A part of a zone may be silent for itself, such as a subdomain that was delegated to nowhere: what lies
            # outside of it is not condemned with it, but must be seen to be silent as often.
            waits = 0 if silence.rest_s else silence.waits
            silence = _Silence(common_suffix(silence.suffix, question[0]), waits)
        self._silences[key] = silence
        if len(self._silences) > self._max_zones:
            self._silences.popitem(last=False)
        silence.waits += 1
        silence.last_wait_s = now_s
        return silence


def _key(question: Question) -> Question:
    return zone_of(question[0]), question[1]
