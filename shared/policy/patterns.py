"""Patterns of addresses and host names, as rules write them (PURE).

Address patterns: `user@example.org`, `@example.org` (the domain), `@.example.org` (it and all below), `a-*@example.org`
(`*` stands for anything but `@`), `*` (any), `<>` (the null sender).
Name patterns: `host.example.org`, `.example.org` (it and all below), `unknown` (no confirmed name), `*` (any name).
Comparison is without regard to case, and to quotes that a local part does not need. Domains are compared as A-labels.
Matching takes time in the length of the text only, however many `*` there are: strangers choose the text.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

from shared.address import AddressError, canonical_local_part, parse_domain, parse_local_part

_LOCAL = re.compile(r"[^\s@<>\"\x00-\x1f\x7f]{0,64}\Z")
_NAME = re.compile(r"\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
_FORMS = "user@domain, @domain, @.domain, part-*@domain, * or <>"


def _address_pattern(text: str) -> str:
    if text in ("*", "<>"):
        return text
    local_part, at, domain = text.rpartition("@")
    try:
        if local_part.startswith('"'):
            local_part = canonical_local_part(parse_local_part(local_part))
        name = parse_domain(domain.removeprefix("."))
    except AddressError:
        name = ""
    if not at or not name or not (_LOCAL.match(local_part) or local_part.startswith('"')):
        raise ValueError(f"{text[:80]!r} is not a pattern of addresses: {_FORMS}")
    return f"{local_part}@{'.' if domain.startswith('.') else ''}{name}".lower()


def _name_pattern(text: str) -> str:
    if text != "*" and not _NAME.match(text):
        raise ValueError(f"{text[:80]!r} is not a pattern of host names: host.domain, .domain, unknown or *")
    return text.lower()


AddressPattern = Annotated[str, AfterValidator(_address_pattern)]
NamePattern = Annotated[str, AfterValidator(_name_pattern)]


def matches_address(pattern: str, address: str) -> bool:
    """Whether an address fits a pattern. address: `local@domain`, empty for the null sender."""
    if pattern == "<>":
        return not address
    if pattern == "*":
        return True
    local_part, _, domain = address.rpartition("@")
    wanted_local, _, wanted_domain = pattern.rpartition("@")
    if not _domain_fits(wanted_domain, domain.lower()):
        return False
    # RFC 5321 §4.1.2: `"user"` and `user` are one mailbox; a rule must not be escaped by quotes.
    return not wanted_local or matches_local_part(wanted_local, canonical_local_part(local_part).lower())


def comparable(address: str) -> str:
    """Return the one form of an address by which it is counted: the case and needless quotes make no other one."""
    local_part, at, domain = address.rpartition("@")
    return f"{canonical_local_part(local_part)}{at}{domain}".lower()


def matches_name(pattern: str, name: str | None) -> bool:
    """Whether a host name fits a pattern. name: None where there is no confirmed one."""
    if not name:
        return pattern == "unknown"
    return pattern == "*" or _domain_fits(pattern, name.lower().rstrip("."))


def matches_local_part(pattern: str, local_part: str) -> bool:
    """Whether a local part in lower case and canonical form fits a pattern, in which `*` stands for any but `@`."""
    first, *others = pattern.lower().split("*")
    if not others:
        return local_part == first
    *middle, last = others
    if "@" in local_part or not local_part.startswith(first):
        return False
    place = len(first)
    for piece in middle:
        found = local_part.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return local_part.endswith(last) and len(local_part) - len(last) >= place


def _domain_fits(wanted: str, domain: str) -> bool:
    if wanted.startswith("."):
        return domain == wanted[1:] or domain.endswith(wanted)
    return domain == wanted
