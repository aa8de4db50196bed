"""Whether a message is asked to come again (PURE; the time is an argument).

Owns: who is never asked, and what a try comes to by what is remembered of earlier ones.
Input: the policy, the session, the envelope; what the state remembers, as text. Output: bool, `Judged`, Refusal.
Standards: RFC 6647 (greylisting), RFC 5321 §4.5.4.1 (clients come again), RFC 3463.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.session import Session
from shared.policy import Policy, Purpose
from shared.policy.client import Fit
from shared.policy.domain import is_always_taken
from shared.policy.greylist import GreylistRules
from shared.policy.patterns import matches_address

# What passed is noted again after an eighth of the time for which it is remembered, not with each message.
_NOTED_AGAIN = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of earlier tries. at: when the first came, or, once passed, when that was noted."""

    at: float
    passed: bool = False

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'first'} {self.at!r}"


class Step(StrEnum):
    """What becomes of a try. pass-and-note: it passes, and that is noted. begin: it is the first one, and waits."""

    PASS = "pass"
    PASS_AND_NOTE = "pass-and-note"
    WAIT = "wait"
    BEGIN = "begin"


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a try. left_s: until it would pass."""

    step: Step
    left_s: float = 0.0

    @property
    def passes(self) -> bool:
        """Whether the recipient is taken."""
        return self.step in (Step.PASS, Step.PASS_AND_NOTE)


def is_exempt(policy: Policy, session: Session, sender: str, recipient: str) -> bool:
    """Whether this mail is never asked to come again. sender, recipient: addresses; no sender is the null one."""
    # RFC 6647 §5: not where users submit their mail.
    if session.rules.purpose is not Purpose.INBOUND or session.may_relay or session.trusted:
        return True
    rules = policy.greylist
    local_part, _, domain = recipient.rpartition("@")
    domain_rules = policy.domains.get(domain)
    if domain_rules is not None and not domain_rules.greylisting:
        return True
    if is_always_taken(local_part):
        return True
    if any(matches_address(pattern, recipient) for pattern in rules.recipients):
        return True
    if any(matches_address(pattern, sender) for pattern in rules.senders):
        return True
    # A fact that is not known exempts nobody: a client could keep its name from us, and waiting is all that it costs.
    return bool(rules.exempt) and any(match.fit(session.client) is Fit.YES for match in rules.exempt)


def read_seen(text: str | None) -> Seen | None:
    """Return what the state remembers; what cannot be read is as if it had never been written."""
    word, _, at = (text or "").partition(" ")
    if word not in ("first", "passed"):
        return None
    try:
        seen = Seen(float(at), word == "passed")
    except ValueError:
        return None
    return seen if math.isfinite(seen.at) else None


def judge_try(seen: Seen | None, now: float, rules: GreylistRules) -> Judged:
    """Return what becomes of a try. now: Unix seconds."""
    anew = Judged(Step.BEGIN, rules.wait_s)
    # Times to come stem from a clock that was set back since.
    age_s = now - seen.at if seen is not None else -1.0
    if seen is None or age_s < 0:
        return Judged(Step.PASS) if seen is not None and seen.passed else anew
    # RFC 6647 §5: what was not seen for long is asked again, for the address may have another owner.
    if seen.passed and age_s <= rules.remember_s:
        return Judged(Step.PASS_AND_NOTE if age_s > rules.remember_s / _NOTED_AGAIN else Step.PASS)
    # RFC 6647 §5: a retry counts between the ends of a range of times, and not outside of it.
    if seen.passed or age_s > rules.retry_within_s:
        return anew
    if age_s < rules.wait_s:
        return Judged(Step.WAIT, rules.wait_s - age_s)
    return Judged(Step.PASS_AND_NOTE)


def is_known_network(count: str | None, rules: GreylistRules) -> bool:
    """Whether a network has sent enough clean mail. count: as the state remembers it."""
    return count is not None and count.isdecimal() and int(count) >= rules.allow_after


def greylisted(left_s: float) -> Refusal:
    """Return the refusal that asks to come again."""
    seconds = max(1, math.ceil(left_s))
    return refuse(RefusalReason.GREYLISTED, 450, "4.7.1", f"Greylisted, try again in {seconds} seconds")
