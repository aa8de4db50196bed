"""Tag lists of TXT records, `v=…; p=…` (PURE).

Standards: RFC 6376 §3.2, RFC 9989 §4.8, RFC 8461 §3.1, RFC 8460 §3.
On failure: TagError, which names the piece that is wrong.
"""

import re

from shared.auth.spf_result import plain

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z", re.IGNORECASE)


class TagError(ValueError):
    """Not a tag list; the text says where."""


def read_tags(record: bytes) -> dict[str, str]:
    """Return the tags of a record by their names in lower case. Raises TagError."""
    tags: dict[str, str] = {}
    for piece in record.decode("utf-8", "replace").split(";"):
        if not piece.strip():
            continue
        name, equals, value = piece.partition("=")
        name = name.strip()
        if not equals or not _NAME.match(name):
            raise TagError(f"{plain(piece.strip(), 60)!r} is not of the form tag=value")
        if name.lower() in tags:
            raise TagError(f"the tag {name} stands there twice")
        tags[name.lower()] = value.strip()
    return tags
