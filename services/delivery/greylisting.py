"""By which words a hop is known to greylist (PURE).

Input: the text of a temporary reply. Output: whether it names greylisting, or asks for what greylisting asks for.
Standard: RFC 6647 (greylisting has no reply code of its own, so the words must do).
"""

import re

_NAMED = re.compile(
    r"gr[ae]y.?list|postgrey|first (?:time|contact|seen)|new (?:sender|triplet)",
    re.IGNORECASE,
)
# Said of rates and reputation as well: alone, it is no sign that the hop is well.
_COME_AGAIN = re.compile(
    r"come back (?:in|later|after)|not yet authori[sz]ed to deliver|unfamiliar|(?:retry|try again) in \d+ ?(?:s|m)",
    re.IGNORECASE,
)
# What greylisters say that do not say what they do: Rspamd, spamd of OpenBSD, the tests of Postfix's postscreen.
_VAGUE = re.compile(r"\b(?:re)?try again|service (?:is |currently ){0,2}unavailable", re.IGNORECASE)


def names_greylisting(text: str) -> bool:
    """Whether a reply says that its sender, or his host, is new to the hop: it is about no more than this message."""
    return _NAMED.search(text) is not None


def sounds_like_greylisting(text: str) -> bool:
    """Whether a reply names greylisting, or says when to come again."""
    return names_greylisting(text) or _COME_AGAIN.search(text) is not None


def could_be_greylisting(text: str) -> bool:
    """Whether a reply says as little as some greylisters do; the code must tell the rest."""
    return _VAGUE.search(text) is not None
