"""PURE. Domain names in the one spelling that the resolver asks, caches and answers in.

Input: a name as mail has it: any case, with or without trailing dot, U-labels or A-labels.
Output: lower case, A-labels, no trailing dot.
Standards: RFC 1035 §2.3.4 (sizes), RFC 2181 §11 (any octet may stand in a label), RFC 5891 and UTS 46 (IDNA).
On failure: BadName.
"""

import re
from functools import lru_cache
from ipaddress import ip_address

import idna

from shared.dns.answer import BadName

# RFC 7208 §7.1, §7.3: SPF macros put local parts and spaces into names, so "+", "=" and " " must pass. A backslash must
# not: in text form it quotes a dot or an octet inside a label, which no name in mail needs. Nor do control characters.
_LABEL = re.compile(r"[ -\[\]-~]{1,63}")

# RFC 1035 §2.3.4: 255 octets on the wire, that is 253 characters without the length octet and the root label.
_MAX_CHARACTERS = 253


@lru_cache(maxsize=16_384)
def canonical(name: str) -> str:
    """Return the name's one spelling. Raises BadName, for the root too."""
    ascii_name = name.lower() if name.isascii() else _to_a_labels(name)
    ascii_name = ascii_name.removesuffix(".")
    if len(ascii_name) > _MAX_CHARACTERS:
        raise BadName("domain name is longer than 253 characters")
    if not all(_LABEL.fullmatch(label) for label in ascii_name.split(".")):
        raise BadName(f"not a domain name: {name[:80]!r}")
    return ascii_name


def _to_a_labels(name: str) -> str:
    try:
        # UTS 46 turns the other full stops into dots too. Labels like _dmarc are no host names, hence no STD3 rules.
        labels = idna.uts46_remap(name, std3_rules=False, transitional=False).split(".")
        return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels)
    except (idna.IDNAError, UnicodeError) as error:
        raise BadName(f"not an internationalised domain name: {name[:80]!r}") from error


def within(name: str, ancestor: str) -> bool:
    """Tell whether name is ancestor or below it; both canonical, and "" is the root."""
    return not ancestor or name == ancestor or name.endswith("." + ancestor)


def is_address(text: str) -> bool:
    """Whether what stands for a host is an IP address, which no name is."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
