"""What is checked of a domain: its rules, and how our mail for it and from it shows itself (PURE).

Input: the policy. Output: `Subject`.
"""

from dataclasses import dataclass
from ipaddress import ip_network

from shared.policy import Policy
from shared.policy.destination import Interface
from shared.policy.domain import DomainRules
from shared.policy.table import IpAddress

# No stranger sees mail come from there.
_INSIDE = [
    *map(ip_network, ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12")),
    *map(ip_network, ("192.168.0.0/16", "::/127", "fc00::/7", "fe80::/10")),
]


@dataclass(frozen=True, slots=True)
class Sending:
    """An address that our mail comes from, and the name it greets with; None: that of delivery's settings."""

    address: IpAddress
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A domain. gateway_names: what its MX records should say, empty if the policy does not tell.

    sendings: where its mail comes from, as the world sees it; empty if the policy does not tell.
    """

    domain: str
    rules: DomainRules
    gateway_names: tuple[str, ...]
    sendings: tuple[Sending, ...]

    @property
    def takes_mail(self) -> bool:
        """Whether somebody lives there, beside postmaster and abuse."""
        rules = self.rules
        return bool(rules.recipients or rules.aliases or rules.catch_all)


def subject_of(domain: str, policy: Policy) -> Subject:
    """Return what is checked of one of the policy's domains. Raises KeyError."""
    named = [Sending(address) for address in policy.gateway.addresses]
    own = [
        Sending(address, interface.hostname)
        for name, interface in policy.interfaces.items()
        if _serves(name, interface, domain, policy)
        for address in interface.addresses
    ]
    # Behind an address translation, an interface has inside addresses, and `gateway.addresses` says what is seen.
    seen = [sending for sending in own if not _is_inside(sending.address)]
    hidden = len(seen) < len(own) or not own
    known: dict[IpAddress, Sending] = {one.address: one for one in (*(named if hidden else ()), *seen)}
    return Subject(domain, policy.domains[domain], tuple(policy.gateway.names), tuple(known.values()))


def _serves(name: str, interface: Interface, domain: str, policy: Policy) -> bool:
    """Whether mail from a domain may go out at an interface."""
    by_hop = {policy.delivery.interface, *(rules.interface for rules in policy.destinations.values())}
    return name in by_hop or any(sender.rpartition("@")[2].lower() == domain for sender in interface.senders)


def _is_inside(address: IpAddress) -> bool:
    return any(address in network for network in _INSIDE)
