"""Bans as they stand in the shared state (PURE): edge writes and heeds them, every service's gate and the console read.

Owns: who shares one ban (an IPv4 address alone, an IPv6 address with its /64), the keys, and the form of the value.
On failure: a value that cannot be read is no ban; an address that is none raises ValueError.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, ip_network

from shared.policy import Policy
from shared.policy.client import in_networks, network_of, plain_ip

BAN_PREFIX = "ban:"
_WHY_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Ban:
    """One ban. until, at: Unix seconds. why: the reason that brought it about. count: the how manieth, from 1."""

    until: float
    why: str
    at: float
    count: int

    def left_s(self, now: float) -> float:
        """Return for how long it still lasts; 0 or less where it is over."""
        return self.until - now


@lru_cache(maxsize=16_384)
def subject_of(address: str) -> str:
    """Return what is banned or counted as one: an IPv4 address, or the /64 of an IPv6 one. Raises ValueError."""
    ip = plain_ip(address)
    return str(ip) if isinstance(ip, IPv4Address) else str(network_of(ip))


def subject_of_text(text: str) -> str:
    """Return the subject that an administrator means by an address, or by a network of one subject.

    Raises ValueError.
    """
    if "/" not in text:
        return subject_of(text)
    network = ip_network(text)
    whole = network.prefixlen == 32 if isinstance(network, IPv4Network) else network.prefixlen >= 64
    if not whole:
        raise ValueError(f"{text}: a ban is of an IPv4 address or an IPv6 /64; [[access]] rules deny whole networks")
    return subject_of(str(network.network_address))


def ban_key(subject: str) -> str:
    """Return the key of a subject's ban."""
    return BAN_PREFIX + subject


def points_key(subject: str) -> str:
    """Return the key of a subject's points."""
    return f"points:{subject}"


def earlier_key(subject: str) -> str:
    """Return the key of how many bans of a subject are remembered."""
    return f"banned:{subject}"


def is_exempt(address: str, policy: Policy) -> bool:
    """Whether an address is never banned: it is on the list, or one of our own that may relay."""
    ip = plain_ip(address)
    return in_networks(policy.bans.never, ip) or in_networks(policy.relay.networks, ip)


def encode_ban(ban: Ban) -> str:
    """Return the value of a ban."""
    return json.dumps({"until": ban.until, "why": ban.why[:_WHY_LIMIT], "at": ban.at, "count": ban.count})


def decode_ban(value: str) -> Ban | None:
    """Return the ban of a value, None if it is none."""
    try:
        found = json.loads(value)
        return Ban(float(found["until"]), str(found["why"])[:_WHY_LIMIT], float(found["at"]), int(found["count"]))
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None
