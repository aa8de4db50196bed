"""How long what was written down is kept."""

import pytest

from shared.policy import PolicyError, parse_policy


def test_traces_and_held_mail_are_kept_thirty_days_unless_the_policy_says_otherwise() -> None:
    assert parse_policy("").retention.model_dump() == {"trace_days": 30, "quarantine_days": 30}
    chosen = parse_policy("[retention]\ntrace_days = 90\nquarantine_days = 0\n").retention
    assert (chosen.trace_days, chosen.quarantine_days) == (90, 0)


@pytest.mark.parametrize("line", ["trace_days = 0", "quarantine_days = -1", "trace_days = 4000", "audit_days = 9"])
def test_what_cannot_be_kept_so_is_refused_by_name(line: str) -> None:
    with pytest.raises(PolicyError, match=r"retention\." + line.partition(" ")[0]):
        parse_policy(f"[retention]\n{line}\n")
