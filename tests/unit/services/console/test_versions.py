"""What became of a version of the policy, and access rules in words."""

import pytest

from services.console.access_text import rule_in_words
from services.console.versions import Standing, before_waiting, difference, standing
from shared.policy.access import AccessRule
from shared.policy_entry import PolicyEntry


def entry(version: int, at: float = 0, text: str = "a", confirm_by: float | None = None) -> PolicyEntry:
    return PolicyEntry(version, "a", "r", at, text, confirm_by)


WAITED = entry(2, 10, "b", 100)

# The version, the next one, the version in force, the time, and what became of it.
TABLE = {
    "in force for good": (entry(2), None, 2, 0, Standing.IN_FORCE),
    "waits": (WAITED, None, 2, 99, Standing.WAITS),
    "over, with nothing to go back to": (WAITED, None, 2, 100, Standing.IN_FORCE),
    "went back": (WAITED, None, 1, 100, Standing.WENT_BACK),
    "went back, and came again later": (WAITED, entry(3, 200, "b"), 3, 300, Standing.WENT_BACK),
    "confirmed": (WAITED, entry(3, 50, "b"), 3, 60, Standing.CONFIRMED),
    "confirmed long ago": (WAITED, entry(3, 50, "b"), 9, 9999, Standing.CONFIRMED),
    "taken back": (WAITED, entry(3, 50, "a"), 3, 60, Standing.TAKEN_BACK),
    "an earlier one": (entry(1), WAITED, 2, 50, Standing.EARLIER),
    "unknown what is in force": (WAITED, None, None, 50, Standing.EARLIER),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_became_of_a_version(case: str) -> None:
    one, following, held, now, became = TABLE[case]
    assert standing(one, following, held, now) is became


def test_there_is_no_going_back_to_what_waits_itself() -> None:
    assert before_waiting([entry(1), WAITED]) == [entry(1)]


def test_a_difference_names_both_versions() -> None:
    assert difference(entry(1, text="x\n"), entry(2, text="y\n")).startswith("--- version 1\n+++ version 2\n")
    assert difference(None, entry(1, text="x\n")) == "--- nothing\n+++ version 1\n@@ -0,0 +1 @@\n+x\n"


@pytest.mark.parametrize(
    "rule, words",
    [
        ({"action": "deny"}, "deny everybody"),
        ({"action": "allow", "networks": ["192.0.2.0/24"]}, "allow from 192.0.2.0/24"),
        (
            {"action": "drop", "countries": ["xx"], "helo_names": ["bad.test"], "services": ["smtp"]},
            "drop saying HELO bad.test in XX (smtp)",
        ),
        ({"action": "deny", "services": []}, "deny everybody (nowhere)"),
        (
            {"action": "deny", "networks": [f"192.0.2.{number}/32" for number in range(7)]},
            "deny from 192.0.2.0/32, 192.0.2.1/32, 192.0.2.2/32, 192.0.2.3/32, 192.0.2.4/32 and 2 more",
        ),
    ],
)
def test_a_rule_is_told_in_a_line(rule: dict[str, object], words: str) -> None:
    assert rule_in_words(AccessRule.model_validate(rule)) == words
