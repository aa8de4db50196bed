"""Local parts taken apart and put together, whatever their quotes (PURE)."""

import re

from shared.address import canonical_local_part

_QUOTED_PAIR = re.compile(r"\\(.)")
_SPECIAL = re.compile(r'["\\]')


def content_of(local_part: str) -> str:
    """Return what a local part says, without quotes and backslashes."""
    if not local_part.startswith('"'):
        return local_part
    return _QUOTED_PAIR.sub(r"\1", local_part[1:-1])


def written(content: str) -> str:
    """Return the local part that says this, in quotes only where it needs them (RFC 5321 §4.1.2)."""
    quoted = _SPECIAL.sub(r"\\\g<0>", content)
    return canonical_local_part(f'"{quoted}"')
