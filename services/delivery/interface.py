"""Whence a message goes out (PURE): the interface by sender or destination, one address of its pool, its warm-up.

Input: the policy, the sender, the message's id, and which addresses are this host's. Output: `Sources`.
A message keeps its place in the pool however often it is tried, so that a greylisting host sees it come back from where
it came.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from zlib import crc32

from services.delivery.client.terms import Source
from shared.policy import DeliveryRules, Policy
from shared.policy.destination import Interface, sender_key
from shared.policy.table import Rate
from shared.state.port import Ask

_DAY_S = 86_400
# Before batv's own: `prvs=0123abcdef=ann@example.org` is ann.
_BATV = "prvs="


@dataclass(frozen=True, slots=True)
class Sources:
    """Who we are for one message: at most one address for each IP version. name: the interface's, empty for the
    settings'.
    """

    name: str
    source: Source
    interface: Interface | None = None
    v4: str | None = None
    v6: str | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the interface that the message may go out from."""
        return tuple(address for address in (self.v4, self.v6) if address is not None)

    @property
    def explanation(self) -> str:
        """Why `for_address` returned None, for the trace."""
        if self.addresses:
            version = "IPv4" if self.v6 is None else "IPv6"
            return f"interface {self.name} has only {version} addresses on this host"
        return f"none of the addresses of interface {self.name} is this host's"

    def for_address(self, target_address: str) -> Source | None:
        """Return who we are towards an address, or None where the interface has none of its IP version here.

        target_address: empty for a socket of this host.
        """
        if not target_address:
            return replace(self.source, address=None, ports=None)
        is_v6 = ip_address(target_address).version == 6
        if self.interface is None:
            # Deliberately not binding: `source_address` of the settings says nothing about the other IP version.
            same = self.source.address is not None and (ip_address(self.source.address).version == 6) is is_v6
            return self.source if same or self.source.address is None else replace(self.source, address=None)
        address = self.v6 if is_v6 else self.v4
        return replace(self.source, address=address) if address is not None else None


def sources_for(
    policy: Policy,
    sender: str,
    rules: DeliveryRules,
    message_id: str,
    *,
    is_ours: Callable[[str], bool],
    default: Source,
) -> Sources:
    """Return whence a message goes: by its sender's address, its sender's domain, its destination, or the settings.

    sender: of the envelope, empty for none. rules: of the destination. is_ours: whether an address is this host's.
    """
    name = interface_name(policy, sender, rules)
    if name is None:
        return Sources("", default)
    interface = policy.interfaces[name]
    ports = (interface.ports.first, interface.ports.last) if interface.ports is not None else None
    here = [str(address) for address in interface.addresses if is_ours(str(address))]
    return Sources(
        name,
        Source(interface.hostname or default.name, None, ports),
        interface,
        _in_turn([address for address in here if ":" not in address], message_id),
        _in_turn([address for address in here if ":" in address], message_id),
    )


def interface_name(policy: Policy, sender: str, rules: DeliveryRules) -> str | None:
    """Return the interface of a sender's mail to a destination, or None for what the settings say."""
    if not policy.interfaces:
        return None
    by_sender = policy.interface_of_sender
    if by_sender and sender:
        key = sender_key(_untagged(sender))
        found = by_sender.get(key) or by_sender.get(key[key.rfind("@") :])
        if found is not None:
            return found
    return rules.interface


def warm_cap(interface: Interface, today: dt.date) -> int | None:
    """Return how many messages a day may go from each address of an interface to each hop, None for no bound.

    Before the first day, the first day's bound holds: an address that nobody knows is not to begin with a burst.
    """
    if interface.warm_up is None:
        return None
    per_day = interface.warm_up.per_day
    day = max(0, (today - interface.warm_up.begin).days)
    return per_day[day] if day < len(per_day) else None


def warm_asks(sources: Sources, hop_key: str, today: dt.date) -> tuple[Ask, ...]:
    """Return what is to be counted before a message goes to a hop.

    Nothing where it may leave by either IP version: then it is counted for the one that the host has (`warm_ask`).
    """
    addresses = sources.addresses
    return warm_ask(sources, addresses[0], hop_key, today) if len(addresses) == 1 else ()


def warm_ask(sources: Sources, address: str, hop_key: str, today: dt.date) -> tuple[Ask, ...]:
    """Return what is to be counted before a message goes to a hop from one of its addresses."""
    cap = warm_cap(sources.interface, today) if sources.interface is not None else None
    return (Ask(f"warm:{address}:{hop_key}", Rate(cap, _DAY_S)),) if cap is not None else ()


def _in_turn(addresses: list[str], message_id: str) -> str | None:
    if len(addresses) < 2:
        return addresses[0] if addresses else None
    return addresses[crc32(message_id.encode()) % len(addresses)]


def _untagged(sender: str) -> str:
    """Return a sender as it was before BATV; whether the tag is good is no question here."""
    if sender[:5].lower() != _BATV:
        return sender
    _, is_tagged, rest = sender[5:].partition("=")
    return rest if is_tagged else sender
