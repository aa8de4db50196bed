"""Patterns of file names, as `blocked_names` writes them (PURE).

`*` stands for any characters, `?` for one; everything else for itself, without regard to case. Matching takes time in
the length of the name only, however many `*` there are: strangers choose the names.
"""

import re
from collections.abc import Iterable
from functools import lru_cache


class FilePatterns:
    """Patterns, ready to be compared."""

    def __init__(self, patterns: Iterable[str]) -> None:
        endings: list[str] = []
        self._others: list[tuple[str, re.Pattern[str]]] = []
        for pattern in patterns:
            lower = pattern.lower()
            if lower.startswith("*") and "*" not in lower[1:] and "?" not in lower:
                endings.append(lower[1:])
            else:
                self._others.append((pattern, re.compile(_expression(lower), re.DOTALL)))
        self._endings = tuple(endings)

    def fitting(self, name: str) -> str:
        """Return the first pattern that fits a name, empty if none does."""
        name = name.lower()
        if name.endswith(self._endings):
            return "*" + next(ending for ending in self._endings if name.endswith(ending))
        return next((pattern for pattern, expression in self._others if expression.fullmatch(name)), "")


@lru_cache(maxsize=64)
def file_patterns(patterns: tuple[str, ...]) -> FilePatterns:
    """Return the patterns of a policy, worked out once."""
    return FilePatterns(patterns)


def _expression(pattern: str) -> str:
    first, *others = (re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*"))
    if not others:
        return first
    *middle, last = others
    # The first place that a piece fits leaves the most for the others, so nothing need be tried again.
    return first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last
