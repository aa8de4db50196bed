"""Patterns of addresses and host names, as rules write them (PURE).

Address patterns: `user@example.org`, `@example.org` (the domain), `@.example.org` (it and all below), `a-*@example.org`
(`*` stands for anything but `@`), `*` (any), `<>` (the null sender).
Name patterns: `host.example.org`, `.example.org` (it and all below), `unknown` (no confirmed name), `*` (any name).
Comparison is without regard to case.
"""

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator

_ADDRESS = re.compile(r"(?:[^\s@<>]+)?@(?:\.?[^\s@<>*]+|\[[0-9A-Za-z:.]+\])\Z")
_NAME = re.compile(r"\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")


def _address_pattern(text: str) -> str:
    if text not in ("*", "<>") and not _ADDRESS.match(text):
        raise ValueError(
            f"{text!r} is not a pattern of addresses: user@domain, @domain, @.domain, part-*@domain, * or <>"
        )
    return text.lower()


def _name_pattern(text: str) -> str:
    if text != "*" and not _NAME.match(text):
        raise ValueError(f"{text!r} is not a pattern of host names: host.domain, .domain, unknown or *")
    return text.lower()


AddressPattern = Annotated[str, AfterValidator(_address_pattern)]
NamePattern = Annotated[str, AfterValidator(_name_pattern)]


def matches_address(pattern: str, address: str) -> bool:
    """Whether an address fits a pattern. address: `local@domain`, empty for the null sender."""
    if pattern == "<>":
        return not address
    if pattern == "*":
        return True
    local_part, _, domain = address.lower().rpartition("@")
    wanted_local, _, wanted_domain = pattern.rpartition("@")
    if not _domain_fits(wanted_domain, domain):
        return False
    return not wanted_local or bool(_glob(wanted_local).match(local_part))


def matches_name(pattern: str, name: str | None) -> bool:
    """Whether a host name fits a pattern. name: None where there is no confirmed one."""
    if not name:
        return pattern == "unknown"
    return pattern == "*" or _domain_fits(pattern, name.lower().rstrip("."))


def matches_local_part(pattern: str, local_part: str) -> bool:
    """Whether a local part in lower case fits a pattern of the recipients' list."""
    return bool(_glob(pattern.lower()).match(local_part))


def _domain_fits(wanted: str, domain: str) -> bool:
    if wanted.startswith("."):
        return domain == wanted[1:] or domain.endswith(wanted)
    return domain == wanted


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join("[^@]*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", pattern)) + r"\Z"
    )
