"""PURE. Zone files that are answered before any nameserver: for tests, the demo, and closed networks.

Owns: understanding a standard master file, and finding names in it. One file is one zone.
Input: the file's text; its origin is its first $ORIGIN, or its file name without ".zone".
Standards: RFC 1035 §5 (master files), RFC 1034 §4.3.2 (search), RFC 4592 (wildcards), RFC 8020.
On failure: ZoneError, at start: a zone that is half read would make mail fail later.
"""

import re
from dataclasses import dataclass

import dns.exception
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zone
from dns.rdataset import Rdataset
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.SOA import SOA
from dns.zonefile import Reader

from shared.dns.names import canonical, within
from shared.dns.records import host, wire_name

DEFAULT_TTL_S = 300

_ORIGIN = re.compile(r"^\$ORIGIN\s+(\S+)", re.MULTILINE | re.IGNORECASE)


class ZoneError(ValueError):
    """A zone file cannot be used; the text names the file and why."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a zone says: records, NODATA (exists without any), or NXDOMAIN. is_alias: a CNAME, to be followed."""

    exists: bool
    rdataset: Rdataset | None = None
    is_alias: bool = False


class Zone:
    """The records at and below one origin, for searching. sets: by owner and type."""

    def __init__(self, origin: str, sets: dict[str, dict[RdataType, Rdataset]]) -> None:
        self.origin = origin
        self.sets = sets
        self._existing = {ancestor for owner in sets for ancestor in _up_to(owner, origin)}
        self.negative_ttl_s = self._negative_ttl_s()

    def find(self, name: str, rdtype: str) -> Match:
        """Return what the zone says about a canonical name at or below its origin."""
        wanted = dns.rdatatype.from_text(rdtype)
        if name in self.sets:
            return _choose(self.sets[name], wanted)
        if name in self._existing or name == self.origin:
            return Match(exists=True)
        # RFC 4592 §3.3.1: only the wildcard directly below the closest encloser may answer, even if it holds nothing.
        encloser = next((above for above in _up_to(name, self.origin) if above in self._existing), self.origin)
        wildcard = f"*.{encloser}" if encloser else "*"
        return _choose(self.sets.get(wildcard, {}), wanted) if wildcard in self._existing else Match(exists=False)

    def _negative_ttl_s(self) -> int:
        soa = self.sets.get(self.origin, {}).get(RdataType.SOA)
        if soa is None or not isinstance(soa[0], SOA):
            return DEFAULT_TTL_S
        # RFC 2308 §5: the smaller of the SOA record's own TTL and its MINIMUM field.
        return min(soa.ttl, soa[0].minimum)


def _choose(sets: dict[RdataType, Rdataset], wanted: RdataType) -> Match:
    if wanted in sets:
        return Match(exists=True, rdataset=sets[wanted])
    alias = sets.get(RdataType.CNAME)
    return Match(exists=True, rdataset=alias, is_alias=alias is not None)


def _up_to(name: str, origin: str) -> list[str]:
    """Return name and its ancestors down to the origin, nearest first."""
    names = [name]
    while name != origin and name:
        name = name.partition(".")[2]
        names.append(name)
    return names


def parse_zone(text: str, file_name: str) -> Zone:
    """Return the zone of a master file. file_name names it in errors, and gives the origin where no $ORIGIN does."""
    origins = _ORIGIN.findall(text)
    try:
        origin = _origin(origins[0] if origins else file_name.removesuffix(".zone"))
        # dnspython skips records outside the zone without a word; say it instead.
        outside = [other for other in origins if other.endswith(".") and not within(_origin(other), origin)]
        if outside:
            raise ZoneError(f"{file_name}: {outside[0]} lies outside the zone {origin}; one file is one zone")
        return Zone(origin, _read_sets(text, origin, file_name))
    except (dns.exception.DNSException, ValueError) as error:
        # dnspython puts file name and line in front by itself, the line being the one that it has read up to.
        raise ZoneError(f"{file_name}: {str(error).removeprefix(file_name).lstrip(':')}") from error


def _origin(text: str) -> str:
    return "" if text == "." else canonical(text)


def _read_sets(text: str, origin: str, file_name: str) -> dict[str, dict[RdataType, Rdataset]]:
    zone = dns.zone.Zone(wire_name(origin), relativize=False)
    with zone.writer(True) as transaction:
        # No $INCLUDE: a zone file is one file. A default TTL, so that a short zone needs no $TTL and no SOA.
        tokens = dns.tokenizer.Tokenizer(text, file_name)
        Reader(tokens, dns.rdataclass.IN, transaction, default_ttl=DEFAULT_TTL_S).read()
    sets: dict[str, dict[RdataType, Rdataset]] = {}
    for owner, rdataset in zone.iterate_rdatasets():
        sets.setdefault(host(owner), {})[rdataset.rdtype] = rdataset
    return sets
