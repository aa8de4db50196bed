"""Whether rules make an open relay (PURE).

A stranger has a public address, no login and no certificate, and claims any sender. Which public addresses may send to
a foreign domain is computed, not sampled; an organisation's own may, the internet may not: beyond 2^21 IPv4 addresses
(two of /12) or 2^108 of IPv6 (a /20), all networks together, the rules are refused, with one address as the proof. The
same holds for listed proxies: who may send a PROXY header or XCLIENT may claim any address.
A rule that denies some senders or recipients only is no protection: a stranger claims others.
Standards: RFC 5321 §7.9 and §3.6 (relaying is an operator's choice, never a stranger's).
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from shared.policy.listener import Listener
from shared.policy.ranges import EVERYTHING, Range, public_4, public_6, ranges_of, size, united, without
from shared.policy.relay import Relay, RelayAction, RelayRule

MOST_4 = 2**21
MOST_6 = 2**108
_FOREIGN = "victim@elsewhere.example"
_Ranges = tuple[list[Range], list[Range]]


def find_open_relay(listeners: Mapping[str, Listener], relay: Relay) -> str | None:
    """Return how strangers could send to a foreign domain, None if they cannot."""
    if how := _can_relay(relay):
        return how
    for name, listener in listeners.items():
        for kind, networks in (("proxy_from", listener.proxy_from), ("xclient_from", listener.xclient_from)):
            if stranger := _stranger(ranges_of(networks)):
                return f"listeners.{name}.{kind} lets {stranger} claim to be any client"
    return None


def _can_relay(relay: Relay) -> str | None:
    # Without regard to what is denied: nearly every policy is small enough by this alone.
    allow = [rule for rule in relay.rules if _allows_strangers(rule)]
    if _stranger(ranges_of([*relay.networks, *(network for rule in allow for network in rule.networks)])) is None:
        return None
    allowed, denied = _empty(), _empty()
    for networks, action in _in_order(relay):
        named = ranges_of(networks) if networks else EVERYTHING
        if action is RelayAction.DENY:
            denied = _both(denied, named)
        else:
            allowed = _both(allowed, (without(named[0], denied[0]), without(named[1], denied[1])))
    stranger = _stranger(allowed)
    if stranger is None:
        return None
    said = f"a client at {stranger} could send from <{_sender(allow)}> to <{_FOREIGN}>"
    return f"{said}, as {_by(relay, stranger)} allows"


def _by(relay: Relay, stranger: IPv4Address | IPv6Address) -> str:
    """Return which part of the rules lets a stranger relay."""
    for number, rule in enumerate(relay.rules, 1):
        if _allows_strangers(rule) and (by := next((one for one in rule.networks if stranger in one), None)):
            return f"relay.rules, rule {number} ({by})"
    return f"relay.networks ({next((str(one) for one in relay.networks if stranger in one), 'all together')})"


def _in_order(relay: Relay) -> Iterable[tuple[list[IPv4Network | IPv6Network], RelayAction]]:
    """Yield the networks of what decides about strangers, in the order in which it is read."""
    for rule in relay.rules:
        if _allows_strangers(rule):
            yield list(rule.networks), RelayAction.ALLOW
        elif _denies_strangers(rule):
            yield list(rule.networks), RelayAction.DENY
    if relay.networks:
        yield list(relay.networks), RelayAction.ALLOW


def _allows_strangers(rule: RelayRule) -> bool:
    # Senders can be forged, and any recipient elsewhere is a victim; a login or a certificate cannot be claimed.
    return rule.action is RelayAction.ALLOW and not rule.certificates and not rule.logins


def _denies_strangers(rule: RelayRule) -> bool:
    whoever = not rule.certificates and not rule.logins
    return rule.action is RelayAction.DENY and whoever and not rule.senders and not rule.recipients


def _stranger(ranges: _Ranges) -> IPv4Address | IPv6Address | None:
    """Return an address from the middle of what is public, if that is more than an organisation has."""
    four, six = public_4(ranges[0]), public_6(ranges[1])
    if size(four) > MOST_4:
        return IPv4Address(_middle(four))
    return IPv6Address(_middle(six)) if size(six) > MOST_6 else None


def _middle(ranges: list[Range]) -> int:
    first, last = max(ranges, key=lambda one: one[1] - one[0])
    return (first + last) // 2


def _sender(allow: list[RelayRule]) -> str:
    """Return a sender that a rule trusts, where each one asks for some."""
    asked = [rule for rule in allow if rule.senders]
    return asked[0].senders[0] if asked and len(asked) == len(allow) else "spammer@stranger.example"


def _empty() -> _Ranges:
    return [], []


def _both(left: _Ranges, right: _Ranges) -> _Ranges:
    return united([*left[0], *right[0]]), united([*left[1], *right[1]])
