"""The administrator's rules (PURE): one TOML document, checked, with a safe default for everything.

Owns: `Policy`. Every stage takes its rules from here; sockets and secrets are settings, not policy.
Input: the text of the document. Output: a frozen model.
On failure: PolicyError, which names each key that is wrong; an unknown key is wrong, and so is an open relay.
"""

import tomllib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from shared.address import AddressError, parse_domain
from shared.explain import explain
from shared.policy.access import AccessRule
from shared.policy.aliases import check_aliases
from shared.policy.bans import BanRules
from shared.policy.checks import INBOUND_ONLY, Checks
from shared.policy.clients import ClientControl
from shared.policy.content import BrakeRules, DmarcReportRules, InspectionRules
from shared.policy.delivery import ForwardingRules, GatewayRules, OutgoingRules, TlsReportRules, VerdictRules
from shared.policy.destination import (
    DeliveryRules,
    Destination,
    DestinationKey,
    Interface,
    destination_key,
    sender_key,
)
from shared.policy.domain import DomainRules, RouteChoice
from shared.policy.exemption import Exemption
from shared.policy.greylist import GreylistRules
from shared.policy.limits import Limits, SessionLimits
from shared.policy.listener import Listener
from shared.policy.log import LogRules
from shared.policy.names import DnsListRules, ReverseRules
from shared.policy.no_effect import check_interfaces, check_reached, check_tls_keys
from shared.policy.open_relay import find_open_relay
from shared.policy.quarantine_digest import QuarantineDigestRules
from shared.policy.relay import Relay
from shared.policy.retention import RetentionRules
from shared.policy.retry import RetryRules
from shared.policy.table import Domain, PolicyError, RouteText, Table, no_key_twice
from shared.routes import Route, RouteKind

_DEFAULT_LISTENERS: dict[str, dict[str, object]] = {
    "mx": {"purpose": "inbound"},
    "submission": {"purpose": "submission", "tls": "required", "auth": True, "dsn": True, "chunking": True},
    "submissions": {"purpose": "submission", "tls": "implicit", "auth": True, "dsn": True, "chunking": True},
}


def _laid_over(base: object, upper: object) -> object:
    if not isinstance(base, dict) or not isinstance(upper, dict):
        return upper
    return base | {key: _laid_over(base.get(key), value) for key, value in upper.items()}


def _inheriting(tables: Mapping[str, object], key: str, common: object) -> dict[str, object]:
    """Return the tables, with what each has under a key laid over what all have in common."""
    return {
        name: table | {key: _laid_over(common, table.get(key, {}))} if isinstance(table, dict) else table
        for name, table in tables.items()
    }


def _outbound_tables(document: Mapping[str, object]) -> list[tuple[str, dict[str, object]]]:
    """Return each table `outbound` of a document, with its path."""
    domains = document.get("domains")
    owners = {"": document} | {f"domains.{name}.": table for name, table in _tables_of(domains).items()}
    found = {f"{path}outbound": table.get("outbound") for path, table in owners.items() if isinstance(table, dict)}
    return [(path, table) for path, table in found.items() if isinstance(table, dict)]


def _tables_of(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _is_valid(checks: object) -> bool:
    try:
        Checks.model_validate(checks)
    except ValidationError:
        return False
    return True


class Policy(Table):
    """The whole document. version: set by `gatepost policy apply`, not by hand."""

    groups: dict[str, dict[str, object]] = {}
    domains: Annotated[dict[Domain, DomainRules], no_key_twice(parse_domain)] = {}
    default_route: RouteText = "mx"
    listeners: dict[str, Listener] = Field(_DEFAULT_LISTENERS, validate_default=True)
    access: list[AccessRule] = Field([], max_length=10_000)
    limits: Limits = Limits()
    bans: BanRules = BanRules()
    reverse: ReverseRules = ReverseRules()
    dns_lists: DnsListRules = DnsListRules()
    greylist: GreylistRules = GreylistRules()
    clients: list[ClientControl] = Field([], max_length=1000)
    relay: Relay = Relay()
    checks: Checks = Checks()
    outbound: Checks = Checks()
    exemptions: list[Exemption] = Field([], max_length=1000)
    inspection: InspectionRules = InspectionRules()
    brake: BrakeRules = BrakeRules()
    dmarc_reports: DmarcReportRules = DmarcReportRules()
    verdict: VerdictRules = VerdictRules()
    gateway: GatewayRules = GatewayRules()
    delivery: DeliveryRules = DeliveryRules()
    retry: RetryRules = RetryRules()
    destinations: Annotated[dict[DestinationKey, Destination], no_key_twice(destination_key)] = Field(
        {}, max_length=10_000
    )
    interfaces: dict[str, Interface] = Field({}, max_length=1000)
    forwarding: ForwardingRules = ForwardingRules()
    outgoing: OutgoingRules = OutgoingRules()
    tls_reports: TlsReportRules = TlsReportRules()
    retention: RetentionRules = RetentionRules()
    log: LogRules = LogRules()
    quarantine_digest: QuarantineDigestRules = QuarantineDigestRules()

    @model_validator(mode="before")
    @classmethod
    def _inherit_digest(cls, document: object) -> object:
        """Lay each domain's `quarantine_digest`, its group's with it, over the global one, before either is checked."""
        if not isinstance(document, dict) or not isinstance(document.get("domains"), dict):
            return document
        common = document.get("quarantine_digest", {})
        try:
            QuarantineDigestRules.model_validate(common)
        except ValidationError:
            # It is told once, at its own key.
            return document
        return document | {"domains": _inheriting(document["domains"], "quarantine_digest", common)}

    @model_validator(mode="before")
    @classmethod
    def _inherit_delivery(cls, document: object) -> object:
        """Lay each destination over `delivery`, and its `retry` over the global one, before any is checked."""
        if not isinstance(document, dict) or not isinstance(document.get("destinations", {}), dict):
            return document
        common, retry = document.get("delivery", {}), document.get("retry", {})
        try:
            DeliveryRules.model_validate(common)
            RetryRules.model_validate(retry)
        except ValidationError:
            # It is told once, at its own key.
            return document
        destinations = document.get("destinations", {})
        check_tls_keys(common, destinations)
        tables = _inheriting(destinations, "retry", retry)
        return document | {"destinations": {name: _laid_over(common, table) for name, table in tables.items()}}

    @model_validator(mode="before")
    @classmethod
    def _inherit_checks(cls, document: object) -> object:
        """Lay `outbound` over `checks`, and each domain's own over both, before any is checked."""
        if not isinstance(document, dict):
            return document
        inbound = document.get("checks", {})
        if not _is_valid(inbound):
            # It is told once, at its own key, and not again where it is inherited.
            return document
        outbound = _laid_over(inbound, document.get("outbound", {}))
        document = document | {"outbound": outbound}
        if not _is_valid(outbound):
            return document
        domains = document.get("domains")
        if not isinstance(domains, dict):
            return document
        return document | {"domains": _inheriting(_inheriting(domains, "checks", inbound), "outbound", outbound)}

    @model_validator(mode="before")
    @classmethod
    def _nothing_without_effect(cls, document: object) -> object:
        """Refuse what nobody would obey: mail of our own users comes from no server that DNS could speak for."""
        if isinstance(document, dict):
            for path, table in _outbound_tables(document):
                if found := sorted(INBOUND_ONLY.intersection(table)):
                    raise ValueError(f"{path}.{found[0]} has no effect: only mail from outside is asked for {found[0]}")
        return document

    @model_validator(mode="before")
    @classmethod
    def _inherit_limits(cls, document: object) -> object:
        """Lay each listener's `limits` over the global ones, before either is checked."""
        if not isinstance(document, dict) or not isinstance(document.get("limits", {}), dict):
            return document
        listeners = document.get("listeners", _DEFAULT_LISTENERS)
        if not isinstance(listeners, dict):
            return document
        common = {key: value for key, value in document.get("limits", {}).items() if key in SessionLimits.model_fields}
        try:
            SessionLimits.model_validate(common)
        except ValidationError:
            return document
        return document | {"listeners": _inheriting(listeners, "limits", common)}

    @model_validator(mode="before")
    @classmethod
    def _inherit_groups(cls, document: object) -> object:
        """Lay each domain's table over the domain that it is the same as, and over its group."""
        # What stands here last runs first: what is laid under all domains comes below their groups.
        if not isinstance(document, dict) or not isinstance(document.get("domains", {}), dict):
            return document
        groups, domains = _tables_of(document.get("groups")), document.get("domains", {})
        named = [table.get("group") for table in domains.values() if isinstance(table, dict)]
        unused = set(groups) - {name for name in named if isinstance(name, str)}
        for name, group in groups.items():
            if name in unused:
                raise ValueError(f"groups.{name} has no effect: no domain has group = {name!r}")
            if not isinstance(group, dict) or {"group", "same_as"} & group.keys():
                raise ValueError(f"groups.{name} is a table of keys of a domain, without group and same_as")
        known = {_canonical(name): table for name, table in domains.items()}
        return document | {"domains": {name: _whole(name, table, known, groups) for name, table in domains.items()}}

    @model_validator(mode="after")
    def _no_open_relay(self) -> "Policy":
        if proof := find_open_relay(self.listeners, self.relay):
            raise ValueError(f"this would be an open relay: {proof}")
        return self

    @model_validator(mode="after")
    def _no_name_twice(self) -> "Policy":
        names = [rule.name for rule in self.clients]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"clients: two rules have the name {twice!r}")
        names = [exemption.name for exemption in self.exemptions]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"exemptions: two have the name {twice!r}")
        return self

    @model_validator(mode="after")
    def _aliases_end(self) -> "Policy":
        check_aliases(self.domains)
        return self

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> "Policy":
        check_interfaces(self.delivery, self.destinations, self.interfaces)
        check_reached(self.destinations, self.domains, self.default_route)
        seen: dict[str, str] = {}
        for name, interface in self.interfaces.items():
            for sender in interface.senders:
                if (other := seen.setdefault(sender_key(sender), name)) != name:
                    raise ValueError(f"interfaces: {sender!r} is a sender of both {other} and {name}")
        if self.forwarding.srs_domain is not None and self.forwarding.srs_domain not in self.domains:
            raise ValueError(f"forwarding.srs_domain: {self.forwarding.srs_domain} is none of our domains")
        return self

    @cached_property
    def knows_names(self) -> bool:
        """Whether a rule asks for the client's name."""
        rules = [*self.access, *(rule for listener in self.listeners.values() for rule in listener.access)]
        rules_of_clients = [rule.match for rule in self.clients]
        return any(rule.needs_name for rule in [*rules, *rules_of_clients, *self.greylist.exempt])

    @cached_property
    def interface_of_sender(self) -> dict[str, str]:
        """The name of the interface of each sender, by `sender_key`, that has one of its own."""
        return {sender_key(sender): name for name, interface in self.interfaces.items() for sender in interface.senders}

    def checks_of(self, domain: str) -> Checks:
        """Return the check rules for mail from outside to a recipient domain."""
        rules = self.domains.get(domain)
        return rules.checks if rules else self.checks

    def outbound_of(self, domain: str) -> Checks:
        """Return the check rules for mail of our own users, by the sender's domain."""
        rules = self.domains.get(domain)
        return rules.outbound if rules else self.outbound

    def routes_of(self, domain: str) -> tuple[RouteChoice, ...]:
        """Return where the mail of a domain goes: its own routes, or the default one."""
        rules = self.domains.get(domain)
        return rules.routes if rules else (RouteChoice(to=self.default_route),)

    def hop_rules(self, route: Route, domain: str) -> DeliveryRules:
        """Return how a hop is spoken to. domain: of the recipients, for a route by MX."""
        return self._destination(route, domain) or self.delivery

    def retry_rules(self, route: Route, domain: str) -> RetryRules:
        """Return when mail for a hop is tried again. domain: of the recipients, for a route by MX."""
        destination = self._destination(route, domain)
        return destination.retry if destination else self.retry

    def _destination(self, route: Route, domain: str) -> Destination | None:
        if not self.destinations:
            return None
        if route.kind is not RouteKind.MX:
            return self.destinations.get(str(route))
        found = self.destinations.get(domain)
        while found is None and domain:
            domain = domain.partition(".")[2]
            found = self.destinations.get(f"*.{domain}")
        return found


def _whole(
    name: str, table: object, domains: Mapping[str, object], groups: Mapping[str, object], depth: int = 0
) -> object:
    """Return a domain's table with what it inherits. domains: by their canonical names."""
    if not isinstance(table, dict):
        return table
    other, group = table.get("same_as"), table.get("group")
    if not isinstance(other, str | None) or not isinstance(group, str | None):
        # It is told at its key.
        return table
    if group is not None and group not in groups:
        raise ValueError(f"domains.{name}.group: there is no groups.{group}")
    whole = _laid_over(groups.get(group, {}), table) if group is not None else table
    if other is None:
        return whole
    key = _canonical(other)
    if key not in domains or key == _canonical(name) or depth:
        raise ValueError(f"domains.{name}.same_as: {other!r} is not another domain of ours, with keys of its own")
    return _laid_over(_whole(key, domains[key], domains, groups, depth + 1), whole)


def _canonical(domain: str) -> str:
    try:
        return parse_domain(domain)
    except AddressError:
        return domain


def parse_policy(text: str) -> Policy:
    """Return the checked policy of a TOML document. Raises PolicyError."""
    try:
        return Policy.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise PolicyError(explain(error)) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, 1,000 brackets
        raise PolicyError(f"not TOML: {error}") from None
