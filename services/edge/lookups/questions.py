"""What DNS lists are asked, and what their answers weigh together (PURE).

Standards: RFC 5782 (§2.1 IPv4, §2.4 IPv6, §5 test entries), RFC 6890 (addresses that mean nothing to others).
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network

from services.edge.lookups.facts import Hit, ListFindings
from shared.policy.names import DnsList
from shared.policy.table import IpAddress

# Deliberately not `is_global`: what is meant is "an address of our own", and the networks for documentation are not.
_OURS_4 = [
    ip_network("0.0.0.0/8"),
    ip_network("10.0.0.0/8"),
    ip_network("100.64.0.0/10"),
    ip_network("127.0.0.0/8"),
    ip_network("169.254.0.0/16"),
    ip_network("172.16.0.0/12"),
    ip_network("192.168.0.0/16"),
]
_OURS_6 = [ip_network("::/127"), ip_network("fc00::/7"), ip_network("fe80::/10")]

# RFC 5782 §5: what every list has, and what no list may have.
MUST_BE_LISTED_4, MUST_NOT_BE_LISTED_4 = ip_address("127.0.0.2"), ip_address("127.0.0.1")
MUST_BE_LISTED_6, MUST_NOT_BE_LISTED_6 = ip_address("::ffff:7f00:2"), ip_address("::ffff:7f00:1")

# The addresses that a list answered, none if it does not list the client; None where it gave no answer.
Answers = Mapping[str, tuple[IPv4Address, ...] | None]


def is_asked_about(address: IpAddress) -> bool:
    """Whether a list of others can know anything about the address."""
    ours = _OURS_4 if isinstance(address, IPv4Address) else _OURS_6
    return not any(address in network for network in ours)


def lists_for(lists: Iterable[DnsList], address: IpAddress) -> list[DnsList]:
    """Return the lists that are asked about an address of this family."""
    return [one for one in lists if one.ipv6 or isinstance(address, IPv4Address)]


def question(address: IpAddress, zone: str) -> str:
    """Return the name to ask a list for."""
    # RFC 5782 §2.1, §2.4: the octets of IPv4, or the nibbles of IPv6, reversed and before the zone.
    return f"{_reversed(address)}.{zone}"


@lru_cache(maxsize=1024)
def _reversed(address: IpAddress) -> str:
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def strongest(one: DnsList, answers: Iterable[IPv4Address]) -> tuple[IPv4Address, int] | None:
    """Return the answer of the largest absolute score, None where one of them is an error of the list."""
    scored = [(answer, one.score_of(answer)) for answer in answers]
    # RFC 5782 §2.1: an answer outside of 127/8 comes from a domain that is no list any more; the rest is no better.
    listings = [(answer, score) for answer, score in scored if score is not None]
    if not listings or len(listings) != len(scored):
        return None
    return max(listings, key=lambda listing: (abs(listing[1]), listing[1]))


def weigh(lists: Iterable[DnsList], answers: Answers) -> ListFindings:
    """Return what the lists say together; each counts with its strongest answer."""
    hits, failed, asked = [], [], 0
    for one in lists:
        asked += 1
        said = answers.get(one.zone)
        listing = strongest(one, said) if said else None
        if listing is not None:
            hits.append(Hit(one.zone, *listing))
        elif said != ():
            failed.append(one.zone)
    return ListFindings(sum(hit.score for hit in hits), tuple(hits), asked, tuple(failed))
