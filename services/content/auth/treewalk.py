"""Owns the DNS tree walk: policy records above a domain, and its organizational domain. PURE over the look-up.

Input: a domain, a look-up. Output: a Walk. Standards: RFC 9989 §4.10.
On failure: DnsTemporary passes through; a walk with a hole in it proves nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.content.auth.dmarcrecord import Psd, Record, parse_record
from shared.dns.answer import BadName
from shared.dns.replay import Lookup

# RFC 9989 §4.10: at most eight queries: the domain itself, then its last seven labels and fewer.
MAX_QUERIES = 8


@dataclass(frozen=True, slots=True)
class Walk:
    """The policy records at and above a domain, the longest name first, and the organizational domain they give."""

    records: dict[str, Record]
    organizational_domain: str


def record_at(domain: str, lookup: Lookup) -> Record | None:
    """Return the policy record of exactly this domain."""
    try:
        texts = lookup(f"_dmarc.{domain}", "TXT").texts()
    except BadName:
        return None
    records = [record for record in map(parse_record, texts) if record]
    # RFC 9989 §4.10: other records are discarded; if several policy records remain, all are.
    return records[0] if len(records) == 1 else None


def tree_walk(domain: str, lookup: Lookup) -> Walk:
    """Walk from the domain up to its top-level domain, or to the first record with psd=y or psd=n."""
    records: dict[str, Record] = {}
    for name in _targets(domain):
        record = record_at(name, lookup)
        if record:
            records[name] = record
            # RFC 9989 §4.10: a record that says psd=n or psd=y ends the walk.
            if record.psd is not Psd.UNSAID:
                break
    return Walk(records, _organizational_domain(domain, records))


def same_organization(one: str, other: str, lookup: Lookup) -> bool:
    """Tell whether two domains are in relaxed alignment (RFC 9989 §4.4)."""
    if one == other:
        return True
    # An organizational domain in common ends both names, so names without a last label in common need no walk.
    if one.rpartition(".")[2] != other.rpartition(".")[2]:
        return False
    return tree_walk(one, lookup).organizational_domain == tree_walk(other, lookup).organizational_domain


def _targets(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    yield domain
    # RFC 9989 §4.10: from eight labels on, the walk jumps to the last seven.
    first = 1 if len(labels) < MAX_QUERIES else len(labels) - (MAX_QUERIES - 1)
    for index in range(first, len(labels)):
        yield ".".join(labels[index:])


def _organizational_domain(domain: str, records: dict[str, Record]) -> str:
    # RFC 9989 §4.10.2: from the longest name to the shortest.
    for name, record in records.items():
        if record.psd is Psd.NO:
            return name
        if record.psd is Psd.YES and name != domain:
            # The organizational domain is one label below the public suffix.
            return ".".join(domain.split(".")[-(name.count(".") + 2) :])
    # RFC 9989 §4.10.2: otherwise the record with the fewest labels; without any, the domain itself.
    return list(records)[-1] if records else domain
