"""How it went at a hop, as far as the hop is concerned (PURE).

Input: an attempt. Output: `Manner`: whether the hop is well, asks us to go slower, or could not be reached.
Standards: RFC 5321 §3.8 and §4.2.1 (421), RFC 3463 §3.5 and §3.8 (4.4.5, 4.7.x), RFC 4954 §6 (4.7.0), RFC 5321
§4.5.3.1.10 (452).
Decided here: greylisting concerns one message and its sender, never the hop; so do full mailboxes and unknown users. A
hop that took one recipient of a transaction is well, whatever it said of the others.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from services.delivery.greylisting import names_greylisting
from services.delivery.outcome import Attempt, Outcome, Status
from shared.reply import Reply


class Went(StrEnum):
    """The three ways."""

    FINE = "fine"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Manner:
    """How it went. reason: in the hop's words or ours, empty if it went fine."""

    went: Went
    reason: str = ""


FINE = Manner(Went.FINE)

# System not accepting messages, congestion, too many connections or messages from us.
_LOAD = frozenset({"4.3.2", "4.4.5", "4.7.28", "4.7.650", "4.7.651", "4.7.652"})
# What is about the mailbox, its domain or the message itself, whatever words stand beside it.
_NOT_US = frozenset({"4.2.0", "4.2.1", "4.2.2", "4.1.1", "4.1.8", "4.4.1", "4.4.2", "4.4.3", "4.4.4"})
_SLOWER = re.compile(
    r"too (?:many|much|fast)|rate[ -]?limit|limit (?:exceeded|reached)|exceeded .{0,40}(?:limit|rate|quota)|throttl"
    r"|unusual (?:rate|amount|traffic)|(?:sending|connection|message) rate|back ?off|slow down|overload|high load"
    r"|load is|server (?:is )?busy|too busy|resources?|congest|(?:temporarily|tempfail).{0,30}(?:defer|block|limit)"
    r"|deferred due to|concurren|simultaneous|reputation|\bTS0[1-4]\b|\bRP-00[1-3]\b",
    re.IGNORECASE,
)
_NOT_US_WORDS = re.compile(r"mailbox (?:is )?full|over ?quota|recipient.{0,40}quota|too many recipients", re.IGNORECASE)


def manner_of(attempt: Attempt) -> Manner:
    """Return how it went at the hop."""
    if attempt.hop_failed is not None:
        # RFC 5321 §3.8: a greeting of 421 is a hop that lives and has enough, of us or of all.
        slower = _first_slower(attempt.outcomes)
        return slower or Manner(Went.UNREACHABLE, attempt.hop_failed)
    if any(outcome.status is Status.DELIVERED for outcome in attempt.outcomes):
        return FINE
    return _first_slower(attempt.outcomes) or FINE


def manner_of_connecting(reply: Reply | None, reason: str) -> Manner:
    """Return how it went where no session came about. reply: what the hop said, if anything."""
    if reply is not None and asks_for_less(reply):
        return Manner(Went.THROTTLED, str(reply))
    return Manner(Went.UNREACHABLE, reason)


def asks_for_less(reply: Reply) -> bool:
    """Whether a reply is about how much we send, or how much the hop can do, and not about one message."""
    if not reply.temporary or names_greylisting(reply.text):
        return False
    if reply.code == 421 or reply.enhanced in _LOAD:
        return True
    # RFC 5321 §4.5.3.1.10: 452 to one of many recipients bounds the transaction, not the traffic.
    if reply.enhanced in _NOT_US or reply.enhanced == "4.5.3" or _NOT_US_WORDS.search(reply.text):
        return False
    return _SLOWER.search(reply.text) is not None


def _first_slower(outcomes: tuple[Outcome, ...]) -> Manner | None:
    for outcome in outcomes:
        if outcome.status is Status.DEFERRED and outcome.remote and asks_for_less(outcome.reply):
            return Manner(Went.THROTTLED, str(outcome.reply))
    return None
