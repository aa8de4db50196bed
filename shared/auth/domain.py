"""Owns the one spelling of domains in authentication results: lower-case A-labels of letters, digits, "-", "_". PURE.

Standards: RFC 5890 (A-labels), RFC 8616 (U-labels in authentication fields), RFC 1035 §2.3.4.
On failure: None, where the text is no host-like name, so that a result can never carry hostile text as a domain.
"""

import re

from shared.dns.answer import BadName
from shared.dns.names import canonical

_MAX_INPUT_CHARACTERS = 1_000
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def host_name(text: str) -> str | None:
    """Return the name's one spelling, or None if it is not a name of letters, digits, hyphens and underscores."""
    # IDNA conversion costs much per character.
    if len(text) > _MAX_INPUT_CHARACTERS:
        return None
    try:
        name = canonical(text)
    except BadName:
        return None
    return name if _HOST.fullmatch(name) else None


def host_name_of(octets: bytes) -> str | None:
    """Return host_name of UTF-8 text, None if it is not UTF-8."""
    try:
        return host_name(octets.decode())
    except UnicodeDecodeError:
        return None
