"""Sets of addresses as ranges (PURE): union, difference, and how many of them strangers can have.

IPv4 inside IPv6 counts as what it is: behind a NAT64 or 6to4 the whole IPv4 internet comes from one IPv6 prefix.
Standards: RFC 6890 (special-purpose addresses), RFC 6052 and 8215 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network

Range = tuple[int, int]  # first and last, both included

_SPECIAL_4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
)
_SPECIAL_6 = ("::/8", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/6")
_LINK_LOCAL_AND_MULTICAST = ("fe80::/9", "ff00::/8")
# Prefixes under which 32 bits are an IPv4 address, and the bits behind it; the second is a site's own choice of /96.
_TRANSLATED = (
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("64:ff9b:1::/48"), 0),
    (IPv6Network("2002::/16"), 80),
)
_TEREDO = IPv6Network("2001::/32")
_WORD = 0xFFFFFFFF


def ranges_of(networks: Iterable[IPv4Network | IPv6Network]) -> tuple[list[Range], list[Range]]:
    """Return the addresses of networks, IPv4 and IPv6 apart; what IPv6 translates of IPv4 stands in the first."""
    four: list[Range] = []
    six: list[Range] = []
    for network in networks:
        if isinstance(network, IPv4Network):
            four.append(_range(network))
            continue
        six.append(_range(network))
        four += [found for prefix, behind in _TRANSLATED if (found := _translated(network, prefix, behind))]
        # Half of a Teredo address is its server; from /64 on, what remains is any client of it.
        if network.overlaps(_TEREDO) and network.prefixlen <= 64:
            four.append((0, _WORD))
    return united(four), united(six)


def united(ranges: Iterable[Range]) -> list[Range]:
    """Return the union, sorted, without overlaps."""
    made: list[Range] = []
    for first, last in sorted(ranges):
        if made and first <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], last))
        else:
            made.append((first, last))
    return made


def without(ranges: list[Range], taken: list[Range]) -> list[Range]:
    """Return what remains. Both are sorted and without overlaps, as `united` makes them."""
    left: list[Range] = []
    place = 0
    for start, last in ranges:
        first = start
        while place < len(taken) and taken[place][1] < first:
            place += 1
        at = place
        while at < len(taken) and taken[at][0] <= last:
            if taken[at][0] > first:
                left.append((first, taken[at][0] - 1))
            first = taken[at][1] + 1
            at += 1
        if first <= last:
            left.append((first, last))
    return left


def size(ranges: list[Range]) -> int:
    """Return how many addresses there are."""
    return sum(last - first + 1 for first, last in ranges)


def public_4(ranges: list[Range]) -> list[Range]:
    """Return the IPv4 addresses that strangers may have."""
    return without(ranges, _PRIVATE_4)


def public_6(ranges: list[Range]) -> list[Range]:
    """Return the IPv6 addresses that strangers may have, but for translated ones."""
    return without(ranges, _PRIVATE_6)


def _range(network: IPv4Network | IPv6Network) -> Range:
    return int(network.network_address), int(network.broadcast_address)


def _translated(network: IPv6Network, prefix: IPv6Network, behind: int) -> Range | None:
    """Return the IPv4 addresses that a network has under a prefix that translates them."""
    if not network.overlaps(prefix):
        return None
    if network.prefixlen <= 128 - 32 - behind:
        return 0, _WORD
    return (int(network.network_address) >> behind) & _WORD, (int(network.broadcast_address) >> behind) & _WORD


_PRIVATE_4 = united(_range(IPv4Network(text)) for text in _SPECIAL_4)
_PRIVATE_6 = united(_range(IPv6Network(text)) for text in (*_SPECIAL_6, *_LINK_LOCAL_AND_MULTICAST))
EVERYTHING = ([(0, _WORD)], [(0, int(IPv6Address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")))])
