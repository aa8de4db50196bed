"""Owns the evaluation of DMARC. PURE over the answers of the look-up.

Input: the author, the SPF result, the DKIM results, a look-up. Output: a DmarcResult.
Standards: RFC 9989 (§4.4 alignment, §4.10 discovery, §5.3 receivers), RFC 8601 §2.7.5.
On failure: what DNS could not say is temperror when the outcome hangs on it, never a fail. Several authors, or a From
that cannot be read for sure, are permerror, so that the administrator's policy decides. Raises nothing itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.content.auth.dmarcrecord import Psd, Record
from services.content.auth.results import Disposition, DkimResult, DkimWord, DmarcResult, DmarcWord
from services.content.auth.treewalk import record_at, same_organization, tree_walk
from shared.auth.author import Author
from shared.auth.spf_result import SpfResult, SpfWord, plain
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup

_SHOWN_SIGNATURES = 3
# RFC 9989 §4.7, t=y: one level below.
_TESTING = {
    Disposition.REJECT: Disposition.QUARANTINE,
    Disposition.QUARANTINE: Disposition.NONE,
    Disposition.NONE: Disposition.NONE,
}


@dataclass(frozen=True, slots=True)
class _Identifier:
    """A domain that SPF or DKIM speaks of, and whether it must be the author domain itself."""

    method: str
    domain: str
    strict: bool


@dataclass(frozen=True, slots=True)
class _Policy:
    """The record in force for an author domain, and where it stands."""

    domain: str
    record: Record


def evaluate_dmarc(
    author: Author, spf: SpfResult, dkim: Sequence[DkimResult], lookup: Lookup, *, every: bool = False
) -> DmarcResult:
    """Say whether the author domain is proved, and what its owner asks for if not.

    every: look into each identifier, as an aggregate report wants it; otherwise, once one equals the author domain,
    others are not looked into, which saves look-ups.
    """
    domain = author.domain
    if domain is None:
        return DmarcResult(DmarcWord.PERMERROR, plain(_why_no_author(author)))
    try:
        policy = _discover(domain, lookup)
        if policy is None or policy.record.policy is None:
            evidence = f"{domain} has no DMARC policy"
            return DmarcResult(DmarcWord.NONE, evidence, domain, policy.domain if policy else "")
        return _evaluate(domain, policy, spf, dkim, lookup, every=every)
    except DnsTemporary as error:
        evidence = plain(f"the DMARC policy of {domain} could not be fetched: {error.cause}")
        return DmarcResult(DmarcWord.TEMPERROR, evidence, domain)


def _why_no_author(author: Author) -> str:
    # RFC 9989 §5.3.1, §11.5: such messages are outside DMARC and are used to get around it.
    return author.fault or f"From has addresses of {len(author.domains)} domains: {', '.join(author.domains[:5])}"


def _discover(domain: str, lookup: Lookup) -> _Policy | None:
    # RFC 9989 §4.10.1: the author domain's record, its organizational domain's, its public suffix's.
    own = record_at(domain, lookup)
    if own:
        return _Policy(domain, own)
    walk = tree_walk(domain, lookup)
    organizational = walk.records.get(walk.organizational_domain)
    if organizational:
        return _Policy(walk.organizational_domain, organizational)
    suffixes = (_Policy(name, record) for name, record in walk.records.items() if record.psd is Psd.YES)
    return next(suffixes, None)


def _evaluate(
    domain: str, policy: _Policy, spf: SpfResult, dkim: Sequence[DkimResult], lookup: Lookup, *, every: bool
) -> DmarcResult:
    record = policy.record
    aligned = _aligned(domain, _identifiers(record, spf, dkim, passed=True), lookup, every=every)
    if aligned.names:
        word, evidence = DmarcWord.PASS, f"{domain} is proved by {', '.join(aligned.names)}"
    elif aligned.unsure or _may_align(domain, _identifiers(record, spf, dkim, passed=False), lookup):
        # RFC 9989 §5.3.6: while DNS fails it is neither a pass nor a fail.
        word, evidence = DmarcWord.TEMPERROR, f"whether {domain} is proved cannot be said while DNS fails"
    else:
        return _failed(domain, policy, _published(domain, policy, lookup), _seen(spf, dkim))
    return DmarcResult(
        word,
        evidence,
        domain,
        policy.domain,
        published=record.policy or Disposition.NONE,
        aligned=aligned.names,
        testing=record.testing,
        record=record.published_at(policy.domain),
    )


def _failed(domain: str, policy: _Policy, published: Disposition, seen: str) -> DmarcResult:
    testing = policy.record.testing
    disposition = _TESTING[published] if testing else published
    asked = "nothing (none)" if disposition is Disposition.NONE else disposition
    evidence = f"{seen} proves {domain}; {policy.domain} asks for {asked}"
    if testing:
        evidence += f" (testing; the policy is {published})"
    record = policy.record.published_at(policy.domain)
    return DmarcResult(
        DmarcWord.FAIL, evidence, domain, policy.domain, disposition, published, testing=testing, record=record
    )


def _seen(spf: SpfResult, dkim: Sequence[DkimResult]) -> str:
    """Return a phrase of what both say, such as `neither SPF (pass for b.test) nor DKIM (fail for a.test)`."""
    signed = [one for one in dkim if one.domain]
    shown = [f"{'part of the body only' if one.weak else one.word} for {one.domain}" for one in signed]
    more = f", and {len(shown) - _SHOWN_SIGNATURES} more" if len(shown) > _SHOWN_SIGNATURES else ""
    none = "no signature" if all(one.word is DkimWord.NONE for one in dkim) else "no signature that can be read"
    by_dkim = ", ".join(shown[:_SHOWN_SIGNATURES]) + more if shown else none
    by_spf = f"{spf.word} for {spf.domain}" if spf.domain else "no domain"
    return plain(f"neither SPF ({by_spf}) nor DKIM ({by_dkim})")


@dataclass(frozen=True, slots=True)
class _Aligned:
    """Identifiers found in alignment, and whether DNS left some undecided."""

    names: tuple[str, ...]
    unsure: bool


def _identifiers(record: Record, spf: SpfResult, dkim: Sequence[DkimResult], *, passed: bool) -> list[_Identifier]:
    """Return what SPF and DKIM proved, or else what they might have proved had DNS answered."""
    spf_word, dkim_word = (SpfWord.PASS, DkimWord.PASS) if passed else (SpfWord.TEMPERROR, DkimWord.TEMPERROR)
    identifiers = [
        _Identifier("dkim", one.domain, record.strict_dkim) for one in dkim if one.word is dkim_word and not one.weak
    ]
    # RFC 9989 §4.3: SPF's identity is MAIL FROM, which is postmaster@HELO for the null sender.
    if spf.word is spf_word:
        identifiers.append(_Identifier("spf", spf.domain, record.strict_spf))
    return [one for one in dict.fromkeys(identifiers) if one.domain]


def _aligned(domain: str, identifiers: Sequence[_Identifier], lookup: Lookup, *, every: bool = False) -> _Aligned:
    same = _names(one for one in identifiers if one.domain == domain)
    if same and not every:
        return _Aligned(same, unsure=False)
    found, unsure = [], False
    for one in identifiers:
        # RFC 9989 §4.4: strict asks for the same domain, relaxed for the same organizational domain.
        if one.strict and one.domain != domain:
            continue
        try:
            if same_organization(domain, one.domain, lookup):
                found.append(one)
        except DnsTemporary:
            unsure = True
    return _Aligned(_names(found), unsure)


def _may_align(domain: str, identifiers: Sequence[_Identifier], lookup: Lookup) -> bool:
    aligned = _aligned(domain, identifiers, lookup)
    return bool(aligned.names) or aligned.unsure


def _names(identifiers: Iterable[_Identifier]) -> tuple[str, ...]:
    return tuple(f"{one.method}:{one.domain}" for one in identifiers)


def _published(domain: str, policy: _Policy, lookup: Lookup) -> Disposition:
    record = policy.record
    own = record.policy or Disposition.NONE
    if policy.domain == domain:
        return own
    subdomains = record.subdomain_policy or own
    # RFC 9989 §4.7: np= is for subdomains that do not exist (NXDOMAIN), sp= for those that do.
    if record.nonexistent_policy in (None, subdomains):
        return subdomains
    return subdomains if lookup(domain, "A").exists else record.nonexistent_policy
