"""How long whoever fails to log in must wait (PURE).

Owns: the delays, and what counts together: a name, and an address (IPv6: its /64, which is one customer's).
A delay doubles with each failure and has an upper bound, so that a stranger cannot shut a user out for a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from services.console.identity.secret import digest_of

# Failures are forgotten after so long without one of them counting.
WINDOW_S = 3600.0


@dataclass(frozen=True, slots=True)
class Rule:
    """free: failures without a delay. first_s: the delay after the next; it doubles up to longest_s."""

    free: int
    first_s: float
    longest_s: float


OF_NAME = Rule(free=4, first_s=5.0, longest_s=900.0)
# Many users may share an address.
OF_ADDRESS = Rule(free=19, first_s=5.0, longest_s=900.0)


def wait_s(failures: Sequence[float], now: float, rule: Rule) -> float:
    """Return for how many seconds nobody is heard yet, 0 for none. failures: their times."""
    counted = [at for at in failures if now - WINDOW_S < at <= now]
    beyond = len(counted) - rule.free
    if beyond <= 0:
        return 0.0
    delay = min(rule.first_s * 2.0 ** min(beyond - 1, 30), rule.longest_s)
    return max(0.0, max(counted) + delay - now)


def name_subject(name: str) -> str:
    """Return what failures of a name are counted by: its digest, for some type a password where a name belongs."""
    return f"name {digest_of(name.strip().lower())}"


def address_subject(address: str) -> str:
    """Return what failures from an address are counted by."""
    try:
        ip = ip_address(address)
    except ValueError:
        return "address -"
    if isinstance(ip, IPv6Address):
        return f"address {ip.ipv4_mapped or ip_network((int(ip), 64), strict=False)}"
    return f"address {ip}"
