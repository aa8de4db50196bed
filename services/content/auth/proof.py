"""Owns the answer to: is the domain of MAIL FROM proved, so that a DSN may go there? PURE over the look-up.

Input: the domain of MAIL FROM and the three results. Output: the Proof, or None; and whether an exemption may trust it.
Standards: RFC 7208, RFC 9989 §4.4.
On failure: what DNS cannot say proves nothing. Raises nothing itself.
"""

from collections.abc import Sequence
from enum import StrEnum

from services.content.auth.results import DkimResult, DmarcResult, DmarcWord
from services.content.auth.treewalk import same_organization
from shared.auth.domain import host_name
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup


class Proof(StrEnum):
    """What proves the sender."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"


def proved_by(
    mail_from: str, spf: SpfResult, dkim: Sequence[DkimResult], dmarc: DmarcResult, lookup: Lookup
) -> Proof | None:
    """Return what proves the domain of MAIL FROM, None if nothing does.

    mail_from: the reverse-path without brackets. The null sender is never proved: nothing is to be sent there.
    """
    domain = host_name(mail_from.rpartition("@")[2])
    if not mail_from or domain is None:
        return None
    if spf.word is SpfWord.PASS and spf.identity is SpfIdentity.MAIL_FROM and spf.domain == domain:
        return Proof.SPF
    # A pass proves the domain it names, and that need not be where the bounce goes: From: x@attacker passes while
    # MAIL FROM:<victim@elsewhere> would get it.
    if any(one.proves_domain and _aligned(one.domain, domain, lookup) for one in dkim):
        return Proof.DKIM
    if dmarc.word is DmarcWord.PASS and _aligned(dmarc.author_domain, domain, lookup):
        return Proof.DMARC
    return None


def proves_sender(mail_from: str, spf: SpfResult, dkim: Sequence[DkimResult], lookup: Lookup) -> bool:
    """Return whether the very domain of MAIL FROM is proved, or one above it: what an exemption of senders asks for.

    For a DSN alignment is enough. But whoever has only a subdomain, as a customer may, must not pass for the domain
    above it where that is trusted.
    """
    domain = host_name(mail_from.rpartition("@")[2])
    if not mail_from or domain is None:
        return False
    if spf.word is SpfWord.PASS and spf.identity is SpfIdentity.MAIL_FROM and spf.domain == domain:
        return True
    return any(
        one.domain == domain or (domain.endswith(f".{one.domain}") and _aligned(one.domain, domain, lookup))
        for one in dkim
        if one.proves_domain and one.domain
    )


def _aligned(one: str, other: str, lookup: Lookup) -> bool:
    try:
        return same_organization(one, other, lookup)
    except DnsTemporary:
        return False
