"""Comments in header fields (PURE). Standards: RFC 5322 §3.2.2: they nest, and a backslash takes a sign's meaning."""

import re

_MARK = re.compile(r"\\.|[()]", re.DOTALL)


def end_of_comment(text: str, start: int) -> int | None:
    """Return where the comment that begins at `start` has ended, None if it never does."""
    depth = 0
    for mark in _MARK.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(mark.group(), 0)
        if not depth:
            return mark.end()
    return None
