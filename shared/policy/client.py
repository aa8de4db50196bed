"""What rules may ask about a client (PURE): the facts, and which rule matchers they fit.

Owns: `ClientFacts`, `Certificate`, and `ClientMatch`, the matchers that access, relay and client rules have in common.
A rule's matchers must all fit; of a matcher's list, one is enough; a matcher that is not given fits everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator

from shared.policy.patterns import NamePattern, matches_name
from shared.policy.table import IpAddress, Network, Table

_FINGERPRINT_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client's certificate, verified in the TLS handshake. fingerprint: SHA-256 of its DER form, hexadecimal."""

    fingerprint: str
    subject: str


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """A client as far as it is known. None: not known (yet); name is empty where it has no confirmed name."""

    address: IpAddress
    name: str | None = None
    helo: str | None = None
    country: str | None = None
    login: str | None = None
    certificate: Certificate | None = None


class Fit(StrEnum):
    """Whether facts fit a rule. unknown: they would, but for a fact that is not known yet."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def _certificate(text: str) -> str:
    plain = text.lower().replace(":", "")
    if text == "verified":
        return text
    digits = plain.removeprefix("sha256")
    if not plain.startswith("sha256") or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise ValueError(f'{text[:80]!r} is not "verified" or "sha256:" and 64 hexadecimal digits')
    return _FINGERPRINT_PREFIX + digits


def _country(text: str) -> str:
    if len(text) != 2 or not text.isascii() or not text.isalpha():
        raise ValueError(f"{text!r} is not a country of ISO 3166-1: two letters")
    return text.upper()


def _login(text: str) -> str:
    # No login at all must never read as a login that is listed.
    if not text or text != text.strip():
        raise ValueError(f"{text!r} is no login")
    return text.lower()


LoginText = Annotated[str, AfterValidator(_login)]
CertificateText = Annotated[str, AfterValidator(_certificate)]
Country = Annotated[str, AfterValidator(_country)]


@lru_cache(maxsize=16_384)
def plain_ip(address: str) -> IpAddress:
    """Return an address as rules see it: IPv4 out of its mapping into IPv6, no zone. Raises ValueError."""
    ip = ip_address(address.partition("%")[0])
    return (ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip


def network_of(address: IpAddress) -> Network:
    """Return the network that shares an address's fate: its /24, or its /64."""
    prefix = 24 if isinstance(address, IPv4Address) else 64
    return ip_network((address, prefix), strict=False)


def in_networks(networks: list[Network], address: IpAddress) -> bool:
    """Whether one of the networks has the address."""
    return any(address in network for network in networks)


class NetworkIndex:
    """Many networks, of which one that has an address is found in a few steps: a deny list may be long."""

    def __init__(self, networks: Iterable[Network]) -> None:
        by_length: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            by_length.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
        # Of each family: how many bits an address loses, and what is left of it then.
        self._of = {
            version: [(shift, firsts) for (family, shift), firsts in by_length.items() if family == version]
            for version in (4, 6)
        }

    def has(self, address: IpAddress) -> bool:
        """Whether one of the networks has the address."""
        number = int(address)
        return any(number >> shift in firsts for shift, firsts in self._of[address.version])


def fits_certificate(wanted: list[str], certificate: Certificate | None) -> bool:
    """Whether one of the texts names the certificate; "verified" names any."""
    if certificate is None:
        return False
    return any(text in ("verified", _FINGERPRINT_PREFIX + certificate.fingerprint) for text in wanted)


class ClientMatch(Table):
    """Whom a rule is about. Empty lists match everybody.

    networks: addresses. reverse_names: names that DNS confirms in both directions. helo_names: what HELO or EHLO said.
    countries: ISO 3166-1 codes, which need the setting `country_database`.
    """

    networks: list[Network] = []
    reverse_names: list[NamePattern] = []
    helo_names: list[NamePattern] = []
    countries: list[Country] = []

    @property
    def needs_name(self) -> bool:
        """Whether the client's name must be looked up."""
        return bool(self.reverse_names)

    @cached_property
    def _index(self) -> NetworkIndex:
        return NetworkIndex(self.networks)

    def fit(self, client: ClientFacts) -> Fit:
        """Return whether the client is meant, by what is known of it."""
        if self.networks and not self._index.has(client.address):
            return Fit.NO
        # A country that the database does not have is no country of the list.
        if self.countries and client.country not in self.countries:
            return Fit.NO
        unknown = False
        for patterns, name in ((self.reverse_names, client.name), (self.helo_names, client.helo)):
            if not patterns:
                continue
            if name is None:
                unknown = True
            elif not any(matches_name(pattern, name) for pattern in patterns):
                return Fit.NO
        return Fit.UNKNOWN if unknown else Fit.YES
