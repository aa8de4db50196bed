"""PURE. Owns the table of where a process's own time goes, from py-spy's raw form.

Input: lines of `frame;frame;frame count`, the innermost frame last. Output: shares of all looks by function, as Markdown.
On failure: ValueError for a line that does not end in a number.
"""

from collections import Counter
from collections.abc import Mapping

from tests.bench.report import table

_ROWS = 12


def own_shares(text: str) -> dict[str, float]:
    """Return how often each function was the innermost one, as shares of 1, the most frequent first."""
    looks: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        looks[stack.rpartition(";")[2]] += int(count)
    return {frame: count / looks.total() for frame, count in looks.most_common()}


def own_time_table(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Return the functions that take the most, by column. shares: of each column, by title."""
    whole: Counter[str] = Counter()
    for column in shares.values():
        whole.update(column)
    rows = [
        [f"`{frame}`", *(f"{column.get(frame, 0.0):.1%}" for column in shares.values())]
        for frame, _ in whole.most_common(_ROWS)
    ]
    return "**Own time in Gatepost's delivery process**, by py-spy\n\n" + table(["", *shares], rows)
