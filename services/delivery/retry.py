"""When to try again, and when to give up (PURE).

Standards: RFC 5321 §4.5.4.1 (retry strategy).
"""

from shared.policy import RetryRules

# A rung's clock and ours differ a little; this early counts as in time.
EARLY_S = 2.0


def next_delay_s(attempt: int, age_s: float, plan: RetryRules) -> float | None:
    """Return the seconds until the next attempt, or None to give up.

    attempt: attempts made so far, from 1. age_s: since acceptance.
    Raises ValueError if attempt < 1. Standard: RFC 5321 §4.5.4.1.
    """
    if attempt < 1:
        raise ValueError(f"attempts are counted from 1, not {attempt}")
    left_s = plan.lifetime_s - age_s
    if left_s <= 0:
        return None
    step_s = plan.steps_s[min(attempt, len(plan.steps_s)) - 1]
    # The last attempt stands at the end of the lifetime, not one step before it.
    return float(min(step_s, left_s))


def early_by_s(not_before: float, now: float) -> float:
    """Return how long a message that came back is too early, or 0 if its time has come."""
    wait_s = not_before - now
    return wait_s if wait_s > EARLY_S else 0.0
