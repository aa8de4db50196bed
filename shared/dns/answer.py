"""PURE. What the DNS said about one name and type, and the two ways in which it can fail to say anything.

Owns: Answer and its record types, DnsTemporary, BadName, and the port Resolver that all code outside this package uses.
Standards: RFC 1035, RFC 2308 (NXDOMAIN and NODATA are answers), RFC 6698 (TLSA), RFC 4035 §3.2.3 (the AD bit).
On failure: DnsTemporary means "not known now". It never means "no record".
"""

from dataclasses import dataclass
from typing import Protocol

RDTYPES = frozenset({"A", "AAAA", "MX", "TXT", "PTR", "CNAME", "TLSA", "NS", "SOA"})


class DnsTemporary(Exception):
    """The question has no answer at present: SERVFAIL, REFUSED, a timeout, no server, or a malformed answer."""

    def __init__(self, name: str, rdtype: str, cause: str) -> None:
        super().__init__(f"{name} {rdtype}: {cause}")
        self.name = name
        self.rdtype = rdtype
        self.cause = cause


class BadName(ValueError):
    """The text cannot be a domain name, so there is nothing to ask: permanent, unlike DnsTemporary."""


@dataclass(frozen=True, slots=True, order=True)
class MX:
    """One mail exchange. An exchange of "" is the null MX (RFC 7505 §3: the domain takes no mail)."""

    preference: int
    exchange: str


@dataclass(frozen=True, slots=True)
class TLSA:
    """One certificate association of DANE."""

    usage: int
    selector: int
    matching: int
    data: bytes


Record = bytes | str | MX | TLSA


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of one name and type; CNAMEs are already followed, so these may belong to another owner.

    name: as asked, lower case, A-labels, no trailing dot.
    exists: False only for NXDOMAIN; True without records is NODATA.
    records: TXT as bytes (the strings of a record joined), A and AAAA as address text, PTR, CNAME, NS and SOA (its
    primary server) as lower-case host names without trailing dot, MX and TLSA as their classes.
    secure: validated by DNSSEC, as far as a resolver on this host says so.
    ttl_s: how long it was good for when it was fetched. Ask the resolver again instead of keeping an Answer.
    """

    name: str
    rdtype: str
    exists: bool
    records: tuple[Record, ...] = ()
    secure: bool = False
    ttl_s: float = 0.0

    def texts(self) -> tuple[bytes, ...]:
        """Return the TXT records."""
        return tuple(record for record in self.records if isinstance(record, bytes))

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses of an A or AAAA answer."""
        return self._strings() if self.rdtype in ("A", "AAAA") else ()

    def names(self) -> tuple[str, ...]:
        """Return the host names of a PTR, CNAME, NS or SOA answer."""
        return self._strings() if self.rdtype not in ("A", "AAAA") else ()

    def mx(self) -> tuple[MX, ...]:
        """Return the mail exchanges, best preference first."""
        return tuple(sorted(record for record in self.records if isinstance(record, MX)))

    def tlsa(self) -> tuple[TLSA, ...]:
        """Return the TLSA records."""
        return tuple(record for record in self.records if isinstance(record, TLSA))

    def _strings(self) -> tuple[str, ...]:
        return tuple(record for record in self.records if isinstance(record, str))


class Resolver(Protocol):
    """What the stages know of DNS."""

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """Return the answer, asking a nameserver if need be. Raises DnsTemporary, BadName."""

    def cached(self, name: str, rdtype: str) -> Answer | None:
        """Return what is known without asking, None if nothing is. Raises DnsTemporary (failed just now), BadName."""
