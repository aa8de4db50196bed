"""Which entry of the policy stream holds: a table, and that the order of arrival and a restart make no difference."""

import itertools

import pytest

from shared.policy_entry import PolicyEntry, in_force

GOOD, BAD = "", "x = 1"


def entry(version: int, confirm_by: float | None = None, text: str = GOOD) -> PolicyEntry:
    return PolicyEntry(version, "a", "r", 0, text, confirm_by)


# Entries, the time, and the version in force then (None: none).
RULES: dict[str, tuple[list[PolicyEntry], float, int | None]] = {
    "of nothing, nothing": ([], 0, None),
    "the highest": ([entry(1), entry(3), entry(2)], 0, 3),
    "what waits holds meanwhile": ([entry(1), entry(2, 60)], 59, 2),
    "what waited is over at its time": ([entry(1), entry(2, 60)], 60, 1),
    "a confirmation is a version of its own": ([entry(1), entry(2, 60), entry(3)], 61, 3),
    "a confirmation that came too late holds all the same": ([entry(1), entry(2, 60), entry(3)], 600, 3),
    "a later version that waits goes back to the one that still waits": ([entry(1), entry(2, 90), entry(3, 60)], 70, 2),
    "and then to the last that nobody need confirm": ([entry(1), entry(2, 90), entry(3, 60)], 90, 1),
    "a higher version outlives a lower one that is over": ([entry(1), entry(2, 60), entry(3, 90)], 70, 3),
    "what nobody can use is passed over": ([entry(1), entry(2, text=BAD)], 0, 1),
    "what nobody can use is nothing to go back to": ([entry(1), entry(2, text=BAD), entry(3, 60)], 60, 1),
    "with nothing to go back to it stays": ([entry(1, 60)], 600, 1),
    "of several that are over the highest stays": ([entry(1, 60), entry(2, 70)], 600, 2),
    "even with something that nobody can use": ([entry(1, text=BAD), entry(2, 60)], 600, 2),
    "there is no version 0": ([entry(0), entry(-1)], 0, None),
}


@pytest.mark.parametrize("rule", RULES)
def test_which_entry_holds(rule: str) -> None:
    entries, now, version = RULES[rule]
    for order in itertools.permutations(entries):
        held = in_force(order, now)
        assert (held.version if held else None) == version
