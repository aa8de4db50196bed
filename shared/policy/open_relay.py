"""Whether rules make an open relay (PURE): strangers try, in simulation, what spammers try.

A stranger is a client that no reasonable rule could mean: public addresses from all over IPv4 and IPv6, without a
login and without a certificate, with forged senders. If one of them may send to a foreign domain, the rules are
refused, with the attempt as the proof. A listed proxy range is tried, too: who may send a PROXY header or XCLIENT may
claim any address.
Standards: RFC 5321 §7.9 and §3.6 (relaying is an operator's choice, never a stranger's).
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from shared.policy.client import ClientFacts, in_networks
from shared.policy.listener import Listener
from shared.policy.relay import Relay
from shared.policy.table import IpAddress

_FOREIGN = "victim@elsewhere.example"


def find_open_relay(listeners: Mapping[str, Listener], relay: Relay) -> str | None:
    """Return how a stranger could send to a foreign domain, None if nobody can."""
    for stranger in strangers():
        if how := _can_send(relay, stranger, "a client"):
            return how
    for name, listener in listeners.items():
        for kind, networks in (("proxy_from", listener.proxy_from), ("xclient_from", listener.xclient_from)):
            for stranger in strangers() if networks else ():
                if in_networks(networks, stranger):
                    return f"listeners.{name}.{kind} lets {stranger} claim to be any client"
    return None


def strangers() -> Iterator[IpAddress]:
    """Yield public addresses, one of each public /8 of IPv4 and of many parts of 2000::/3."""
    for first in range(1, 224):
        address = IPv4Address((first << 24) + (77 << 16) + (99 << 8) + 77)
        if address.is_global:
            yield address
    for first in range(0x2000, 0x4000, 0x40):
        address6 = IPv6Address((first << 112) + 0x7799 + (0x77 << 64) + (0x9 << 96))
        if address6.is_global:
            yield address6


def _can_send(relay: Relay, address: IpAddress, who: str) -> str | None:
    client = ClientFacts(address, name="", helo="stranger.example")
    for sender in _forged(relay):
        for recipient in _targets(relay):
            if relay.judge(client, sender, recipient):
                return f"{who} at {address} could send from <{sender}> to <{recipient}>"
    return None


def _forged(relay: Relay) -> Iterator[str]:
    """Yield senders that a spammer would claim: anybody's, nobody's, and whatever a rule trusts."""
    yield ""
    yield "spammer@stranger.example"
    for rule in relay.rules:
        yield from (_example(pattern) for pattern in rule.senders)


def _targets(relay: Relay) -> Iterator[str]:
    yield _FOREIGN
    for rule in relay.rules:
        yield from (_example(pattern) for pattern in rule.recipients)


def _example(pattern: str) -> str:
    """Return an address that a pattern matches."""
    if pattern == "<>":
        return ""
    if pattern == "*":
        return _FOREIGN
    local_part, _, domain = pattern.rpartition("@")
    return f"{local_part.replace('*', 'x') or 'x'}@{domain.removeprefix('.')}"
