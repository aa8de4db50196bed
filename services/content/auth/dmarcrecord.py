"""Owns the DMARC policy record. PURE.

Input: one TXT record. Output: a Record, or None if it is no DMARC record. Standards: RFC 9989 §4.7, §4.8, §4.10.1.
On failure: unknown tags and tags with errors count as absent, as the standard wants; nothing is raised.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from services.content.auth.results import Disposition

_MAX_RECORD_BYTES = 4_096
# RFC 9989 §4.8: v= comes first and its value is case-sensitive.
_VERSION = re.compile(rb"v[ \t]*+=[ \t]*+DMARC1[ \t]*+(?:;|\Z)")
_REPORT_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,20}:[^\s,]+", re.IGNORECASE)


class Psd(StrEnum):
    """RFC 9989 §4.7: whether a domain says that it is a public suffix (y), an organizational domain (n), or neither."""

    YES = "y"
    NO = "n"
    UNSAID = "u"


@dataclass(frozen=True, slots=True)
class Record:
    """A policy record. policy None: the record has no valid policy and asks for no reports, so it asks for nothing."""

    policy: Disposition | None
    subdomain_policy: Disposition | None = None
    nonexistent_policy: Disposition | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: Psd = Psd.UNSAID
    testing: bool = False


@lru_cache(maxsize=4096)
def parse_record(text: bytes) -> Record | None:
    """Return the policy record, None if the text is not one."""
    if len(text) > _MAX_RECORD_BYTES or not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for spec in text.decode("ascii", "replace").split(";"):
        name, equals, value = spec.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip().lower())
    policy, subdomain, nonexistent = (_disposition(tags.get(name)) for name in ("p", "sp", "np"))
    # RFC 9989 §4.10.1: without a valid p=, or with an invalid sp= or np=, it is p=none if reports are asked for, and
    # otherwise no DMARC processing takes place.
    if policy is None or (subdomain is None and "sp" in tags) or (nonexistent is None and "np" in tags):
        policy = Disposition.NONE if _REPORT_ADDRESS.match(tags.get("rua", "")) else None
        subdomain = nonexistent = None
    return Record(
        policy=policy,
        subdomain_policy=subdomain,
        nonexistent_policy=nonexistent,
        strict_dkim=tags.get("adkim") == "s",
        strict_spf=tags.get("aspf") == "s",
        psd=Psd(tags["psd"]) if tags.get("psd") in ("y", "n") else Psd.UNSAID,
        testing=tags.get("t") == "y",
    )


def _disposition(value: str | None) -> Disposition | None:
    return Disposition(value) if value in ("none", "quarantine", "reject") else None
