"""Owns the DMARC policy record. PURE.

Input: one TXT record. Output: a Record, or None if it is no DMARC record. Standards: RFC 9989 §4.7, §4.8, §4.10.1.
On failure: unknown tags and tags with errors count as absent, as the standard wants; nothing is raised.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from services.content.auth.results import Disposition, PublishedPolicy

_MAX_RECORD_BYTES = 4_096
# RFC 9989 §4.8: v= comes first and its value is case-sensitive.
_VERSION = re.compile(rb"v[ \t]*+=[ \t]*+DMARC1[ \t]*+(?:;|\Z)")
_REPORT_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,20}:[!-+\--~]{1,500}", re.IGNORECASE)
# RFC 9990 §3.5: a receiver may limit how many addresses it sends reports to.
_MAX_REPORT_ADDRESSES = 10
_FAILURE_OPTIONS = re.compile(r"[01ds](?::[01ds]){0,3}")


class Psd(StrEnum):
    """RFC 9989 §4.7: whether a domain says that it is a public suffix (y), an organizational domain (n), or neither."""

    YES = "y"
    NO = "n"
    UNSAID = "u"


@dataclass(frozen=True, slots=True)
class Record:
    """A policy record. policy None: the record has no valid policy and asks for no reports, so it asks for nothing.

    report_addresses: the URIs of rua=, as written. failure_options: fo=.
    """

    policy: Disposition | None
    subdomain_policy: Disposition | None = None
    nonexistent_policy: Disposition | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: Psd = Psd.UNSAID
    testing: bool = False
    report_addresses: tuple[str, ...] = ()
    failure_options: str = "0"

    def published_at(self, domain: str) -> PublishedPolicy:
        """Return what the record says, as aggregate reports have it."""
        return PublishedPolicy(
            domain,
            self.policy or Disposition.NONE,
            self.subdomain_policy,
            self.nonexistent_policy,
            "s" if self.strict_dkim else "r",
            "s" if self.strict_spf else "r",
            self.failure_options,
            self.testing,
            self.report_addresses,
        )


@lru_cache(maxsize=4096)
def parse_record(text: bytes) -> Record | None:
    """Return the policy record, None if the text is not one."""
    if len(text) > _MAX_RECORD_BYTES or not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for spec in text.decode("ascii", "replace").split(";"):
        name, equals, value = spec.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    addresses = _report_addresses(tags.pop("rua", ""))
    tags = {name: value.lower() for name, value in tags.items()}
    policy, subdomain, nonexistent = (_disposition(tags.get(name)) for name in ("p", "sp", "np"))
    # RFC 9989 §4.10.1: without a valid p=, or with an invalid sp= or np=, it is p=none if reports are asked for, and
    # otherwise no DMARC processing takes place.
    if policy is None or (subdomain is None and "sp" in tags) or (nonexistent is None and "np" in tags):
        policy = Disposition.NONE if addresses else None
        subdomain = nonexistent = None
    return Record(
        policy=policy,
        subdomain_policy=subdomain,
        nonexistent_policy=nonexistent,
        strict_dkim=tags.get("adkim") == "s",
        strict_spf=tags.get("aspf") == "s",
        psd=Psd(tags["psd"]) if tags.get("psd") in ("y", "n") else Psd.UNSAID,
        testing=tags.get("t") == "y",
        report_addresses=addresses,
        failure_options=tags["fo"] if _FAILURE_OPTIONS.fullmatch(tags.get("fo", "")) else "0",
    )


def _report_addresses(value: str) -> tuple[str, ...]:
    found = (address.strip() for address in value.split(",", _MAX_REPORT_ADDRESSES)[:_MAX_REPORT_ADDRESSES])
    return tuple(address for address in found if _REPORT_ADDRESS.fullmatch(address))


def _disposition(value: str | None) -> Disposition | None:
    return Disposition(value) if value in ("none", "quarantine", "reject") else None
