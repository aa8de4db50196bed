"""When to try again, and when to give up (PURE).

Input: of which class the failure is, how often it came, the message's age, the policy's ladders. Output: seconds.
Standards: RFC 5321 §4.5.4.1 (retry strategy), §4.5.3.1.10 (too many recipients), RFC 6647 §5 (greylisting).
"""

from collections.abc import Sequence
from typing import assert_never

from services.delivery.classify import FailureClass
from shared.policy import RetryRules

# A rung's clock and ours differ a little; this early counts as in time.
EARLY_S = 2.0
# RFC 5321 §4.5.3.1.10: the recipients that were too many are sent at once; soon enough, and one transaction is over.
_NEXT_BATCH_S = (5, 5, 5, 60)
# A message whose failures change their class all the time comes down the ladders this many times slower.
_CHANGES = 3


def ladder(failure: FailureClass, enhanced: str, rules: RetryRules) -> Sequence[int]:
    """Return the waits after failures of a class, of which the last repeats. enhanced: the reply's code, `4.2.2`."""
    own = rules.codes.get(enhanced)
    if own is not None:
        return own
    match failure:
        case FailureClass.CONNECTION | FailureClass.NETWORK:
            return rules.connection_steps_s
        case FailureClass.GREYLISTED:
            return rules.greylisted_steps_s
        case FailureClass.POLICY:
            return rules.policy_steps_s
        case FailureClass.TOO_MANY:
            return _NEXT_BATCH_S
        case FailureClass.MAILBOX_FULL | FailureClass.CONTENT | FailureClass.OTHER:
            return rules.steps_s
    assert_never(failure)


def next_delay_s(failures: int, age_s: float, steps_s: Sequence[int], lifetime_s: float) -> float | None:
    """Return the seconds until the next attempt, or None to give up.

    failures: of this class made so far, from 1. age_s: since acceptance. steps_s: the ladder.
    Raises ValueError if failures < 1. Standard: RFC 5321 §4.5.4.1.
    """
    if failures < 1:
        raise ValueError(f"failures are counted from 1, not {failures}")
    left_s = lifetime_s - age_s
    if left_s <= 0:
        return None
    step_s = steps_s[min(failures, len(steps_s)) - 1]
    # The last attempt stands at the end of the lifetime, not one step before it.
    return float(min(step_s, left_s))


def rung(failures: int, attempts: int) -> int:
    """Return how far down its ladder a message stands.

    failures: of the class, one after another. attempts: all that were made. A class that has just begun begins at the
    top of its ladder; but where classes take turns without an end, that must not be a try every minute for days.
    """
    return max(failures, attempts // _CHANGES)


def early_by_s(not_before: float, now: float) -> float:
    """Return how long a message that came back is too early, or 0 if its time has come."""
    wait_s = not_before - now
    return wait_s if wait_s > EARLY_S else 0.0
