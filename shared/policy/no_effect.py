"""What a policy says of hops that nobody would obey (PURE): keys that contradict others, and tables for no mail.

Decided here: such a key is refused, for whoever wrote it believes in it: that a hop is verified, for one.
On failure: ValueError, which names the key.
"""

from collections.abc import Iterable, Mapping

from shared.dns.names import is_address
from shared.policy.destination import DeliveryRules, Destination, Interface, OutboundTls
from shared.policy.domain import DomainRules
from shared.routes import Route, RouteError, RouteKind, parse_route

_ALL = frozenset(OutboundTls)
_IN_TLS = _ALL - {OutboundTls.OFF}
# The levels of TLS at which a key means something. An authority is asked where MTA-STS or REQUIRETLS want one, too.
_LEVELS = {
    "tls_names": frozenset({OutboundTls.VERIFIED}),
    "tls_fingerprints": frozenset({OutboundTls.FINGERPRINT}),
    "tls_authority": frozenset({OutboundTls.OPPORTUNISTIC, OutboundTls.REQUIRED, OutboundTls.VERIFIED}),
    "client_certificate": _IN_TLS,
    "dane": _IN_TLS - {OutboundTls.DANE},
    "mta_sts": _IN_TLS - {OutboundTls.DANE},
}
# What a socket of this host has nothing of.
_NOT_LOCAL = ("tls_names", "tls_fingerprints", "tls_authority", "dane", "mta_sts", "interface")


def check_tls_keys(common: Mapping[str, object], tables: Mapping[str, object]) -> None:
    """Raise ValueError for a key about TLS that means nothing. common, tables: `delivery`, `destinations`, as read."""
    own = {name: table for name, table in tables.items() if isinstance(table, dict)}
    for key in _LEVELS:
        if key in common:
            inherit = [common, *({**common, **table} for table in own.values() if key not in table)]
            if not any(_means(key, one) for one in inherit):
                raise ValueError(f"delivery.{key} has no effect: tls is {_told(common)}")
        for name, table in own.items():
            if key in table and not _means(key, {**common, **table}):
                raise ValueError(f"destinations.{name}.{key} has no effect: tls is {_told({**common, **table})}")
    for name, table in own.items():
        _check_route(name, table)


def check_reached(destinations: Iterable[str], domains: Mapping[str, DomainRules], default_route: str) -> None:
    """Raise ValueError for a destination that is a domain, of which no mail goes out by MX."""
    by_mx = {name for name, rules in domains.items() if any(choice.to == "mx" for choice in rules.routes)}
    for key in destinations:
        if ":" in key:
            continue
        if key in domains and key not in by_mx:
            route = domains[key].routes[0].to
            raise ValueError(
                f"destinations.{key} has no effect: its mail goes to {route}: write destinations.{route!r}"
            )
        if default_route == "mx" or key in by_mx:
            continue
        if key[:2] != "*." or not any(name.endswith(key[1:]) for name in by_mx):
            raise ValueError(f"destinations.{key} has no effect: its mail goes to the default_route, {default_route}")


def check_interfaces(
    delivery: DeliveryRules, destinations: Mapping[str, Destination], interfaces: Mapping[str, Interface]
) -> None:
    """Raise ValueError for an interface that is not there, or that no mail goes out at."""
    tables = {"delivery": delivery} | {f"destinations.{key}": rules for key, rules in destinations.items()}
    for path, rules in tables.items():
        if rules.interface is not None and rules.interface not in interfaces:
            raise ValueError(f"{path}.interface: there is no interfaces.{rules.interface}")
    used = {rules.interface for rules in tables.values()}
    for name, interface in interfaces.items():
        if name not in used and not interface.senders:
            raise ValueError(f"interfaces.{name} has no effect: no destination names it, and it has no senders")


def _check_route(name: str, table: Mapping[str, object]) -> None:
    """Refuse what cannot be said of a route: it is no domain, has no name, or is a socket."""
    try:
        route = parse_route(name) if ":" in name else Route(RouteKind.MX)
    except RouteError:
        # It is told at its key.
        return
    if route.kind is RouteKind.MX:
        return
    idle: dict[str, str] = {"mta_sts": "only a domain has a policy"}
    if is_address(route.host):
        idle["dane"] = "records stand at names alone"
    if route.kind is RouteKind.LMTP_SOCKET:
        idle = dict.fromkeys(_NOT_LOCAL, "a socket leaves no host")
        if table.get("tls", "off") not in ("off", "opportunistic"):
            raise ValueError(f"destinations.{name}.tls: a socket knows off and opportunistic alone")
    if found := next((key for key in idle if key in table), None):
        raise ValueError(f"destinations.{name}.{found} has no effect: {idle[found]}")
    if route.kind is RouteKind.SMTPS and table.get("tls") == "off":
        raise ValueError(f"destinations.{name}.tls has no effect: smtps:// is TLS by itself")
    if table.get("tls") == "dane" and is_address(route.host):
        raise ValueError(f"destinations.{name}.tls: dane needs a name, for records stand at names alone")


def _means(key: str, table: Mapping[str, object]) -> bool:
    """Whether a key means something at a table's level of TLS; where that is none, it is told at its key."""
    level = table.get("tls", OutboundTls.OPPORTUNISTIC)
    return not isinstance(level, str) or level not in _ALL or level in _LEVELS[key]


def _told(table: Mapping[str, object]) -> str:
    return f'"{table.get("tls", OutboundTls.OPPORTUNISTIC)}"'
