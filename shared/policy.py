"""The administrator's rules (PURE): one TOML document, checked, with a safe default for everything.

Owns: `Policy` and its tables. Every stage takes its rules from here; sockets and secrets are settings, not policy.
Input: the text of the document. Output: a frozen model.
On failure: PolicyError, which names each key that is wrong; an unknown key is wrong.
"""

import tomllib
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.address import AddressError, canonical_local_part, parse_domain, parse_local_part
from shared.envelope import Direction
from shared.errors import SettingsError
from shared.explain import explain
from shared.routes import Route, parse_route
from shared.verdict import Action

Network = IPv4Network | IPv6Network


class PolicyError(SettingsError):
    """A policy document that cannot be used."""


class Table(BaseModel):
    """A table of the document; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _domain(text: str) -> str:
    try:
        return parse_domain(text)
    except AddressError as error:
        raise ValueError(str(error)) from None


def _route(text: str) -> str:
    parse_route(text)
    return text


def _local_part(text: str) -> str:
    try:
        return parse_local_part(text)
    except AddressError as error:
        raise ValueError(str(error)) from None


Domain = Annotated[str, AfterValidator(_domain)]
RouteText = Annotated[str, AfterValidator(_route)]
LocalPart = Annotated[str, AfterValidator(_local_part)]


class Purpose(StrEnum):
    """What a listener is for. inbound: mail for our domains. submission: our users, logged in. relay: our hosts."""

    INBOUND = "inbound"
    SUBMISSION = "submission"
    RELAY = "relay"


class TlsMode(StrEnum):
    """TLS of a listener. required: no MAIL before STARTTLS. implicit: TLS from the first octet."""

    OFF = "off"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    IMPLICIT = "implicit"


class Limits(Table):
    """Limits of a session and its messages. Times in seconds, sizes in octets."""

    message_size_bytes: int = Field(26_214_400, ge=65_536, le=104_857_600)
    # RFC 5321 §4.5.3.1.8: fewer than 100 may not be the limit.
    recipients: int = Field(100, ge=100, le=1000)
    received_fields: int = Field(30, ge=10, le=100)
    connections: int = Field(1000, ge=1, le=100_000)
    in_flight_bytes: int = Field(134_217_728, ge=1_048_576)
    errors: int = Field(10, ge=1, le=1000)
    auth_failures: int = Field(3, ge=1, le=100)
    commands: int = Field(1000, ge=50)
    # RFC 5321 §4.5.3.2.7: a server waits five minutes for the next command.
    command_timeout_s: float = Field(300, gt=0, le=3600)
    data_timeout_s: float = Field(180, gt=0, le=3600)
    message_timeout_s: float = Field(600, gt=0, le=7200)
    handshake_timeout_s: float = Field(30, gt=0, le=300)
    session_timeout_s: float = Field(3600, gt=0, le=86_400)


class Listener(Table):
    """The rules of one listener; its address and certificate are settings of the edge."""

    purpose: Purpose
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    auth: bool = False
    chunking: bool = False
    dsn: bool = False
    proxy_from: list[Network] = []

    @property
    def direction(self) -> Direction:
        """Whose mail comes in here."""
        return Direction.INBOUND if self.purpose is Purpose.INBOUND else Direction.OUTBOUND

    @model_validator(mode="after")
    def _no_auth_without_tls(self) -> "Listener":
        if self.auth and self.tls is TlsMode.OFF:
            raise ValueError("auth = true needs TLS: set tls to opportunistic, required or implicit")
        return self


class Relay(Table):
    """Who may send to any domain without a login. networks: none by default."""

    networks: list[Network] = []

    def allows(self, address: str) -> bool:
        """Whether a client address is on the relay list. An IPv4 client of an IPv6 socket counts as IPv4."""
        ip = ip_address(address)
        ip = (ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip
        return any(ip in network for network in self.networks)


class CheckRules(Table):
    """What every check's table has. enabled: false leaves the check out of the verdict."""

    enabled: bool = True


class AntivirusRules(CheckRules):
    """What an antivirus result means."""

    infected: Action = Action.REFUSE


class SpfRules(CheckRules):
    """What an SPF result means by itself (DMARC weighs it, too)."""

    fail: Action = Action.ACCEPT
    softfail: Action = Action.ACCEPT
    permerror: Action = Action.ACCEPT


class DkimRules(CheckRules):
    """What a DKIM result means by itself (RFC 6376 §6.1: a failed signature is as no signature)."""

    fail: Action = Action.ACCEPT


class DmarcRules(CheckRules):
    """What a DMARC failure means, by what the author's domain asks for."""

    reject: Action = Action.REFUSE
    quarantine: Action = Action.QUARANTINE
    none: Action = Action.ACCEPT
    # From missing, unreadable or of several domains: readers differ on who wrote it, and DMARC cannot be asked.
    permerror: Action = Action.REFUSE


class StructureRules(CheckRules):
    """What a header means that is beyond the bounds (exceeded) or has lines that are no fields (malformed)."""

    exceeded: Action = Action.REFUSE
    malformed: Action = Action.TAG


class Checks(Table):
    """The rules of each check. An engine that is down or unsure always defers; that is not a choice."""

    antivirus: AntivirusRules = AntivirusRules()
    spf: SpfRules = SpfRules()
    dkim: DkimRules = DkimRules()
    dmarc: DmarcRules = DmarcRules()
    structure: StructureRules = StructureRules()


class DomainRules(Table):
    """One of our domains. recipients: local parts, or "any". route: where its mail goes (shared/routes.py).

    checks: what differs from the global `checks` for this domain, key by key.
    """

    route: RouteText
    recipients: list[LocalPart] | Literal["any"]
    checks: Checks = Checks()

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(canonical_local_part(name).lower() for name in self.recipients)

    def takes(self, local_part: str) -> bool:
        """Whether a local part is a recipient, compared without quotes and case, as real servers do."""
        name = canonical_local_part(local_part).lower()
        # RFC 5321 §4.5.1: postmaster is taken by every server that takes mail.
        return self.recipients == "any" or name in self._listed or name == "postmaster"


class RetryRules(Table):
    """When delivery tries again. steps_s: waits after the first attempts; the last one repeats."""

    steps_s: list[Annotated[int, Field(ge=1)]] = Field([60, 300, 900, 1800, 3600, 7200, 10_800, 14_400], min_length=1)
    # RFC 5321 §4.5.4.1: give up after 4 to 5 days.
    lifetime_s: int = Field(432_000, ge=60, le=1_209_600)
    delay_notice_after_s: int = Field(14_400, ge=60)


class VerdictRules(Table):
    """How long edge waits for a verdict while the session is open."""

    deadline_s: float = Field(20, gt=0, le=60)


class DeliveryRules(Table):
    """Bounds of delivery."""

    connections_per_hop: int = Field(10, ge=1, le=1000)
    messages_per_connection: int = Field(100, ge=1)
    connect_timeout_s: float = Field(15, gt=0, le=120)
    idle_timeout_s: float = Field(5, ge=0, le=300)


def _laid_over(base: object, upper: object) -> object:
    if not isinstance(base, dict) or not isinstance(upper, dict):
        return upper
    return base | {key: _laid_over(base.get(key), value) for key, value in upper.items()}


class Policy(Table):
    """The whole document. version: set by `gatepost policy apply`, not by hand."""

    domains: dict[Domain, DomainRules] = {}
    default_route: RouteText = "mx"
    listeners: dict[str, Listener] = {
        "mx": Listener(purpose=Purpose.INBOUND),
        "submission": Listener(purpose=Purpose.SUBMISSION, tls=TlsMode.REQUIRED, auth=True, dsn=True, chunking=True),
        "submissions": Listener(purpose=Purpose.SUBMISSION, tls=TlsMode.IMPLICIT, auth=True, dsn=True, chunking=True),
    }
    limits: Limits = Limits()
    relay: Relay = Relay()
    checks: Checks = Checks()
    verdict: VerdictRules = VerdictRules()
    delivery: DeliveryRules = DeliveryRules()
    retry: RetryRules = RetryRules()

    @model_validator(mode="before")
    @classmethod
    def _no_domain_twice(cls, document: object) -> object:
        """Refuse two tables that are one domain (`a.test` and `A.TEST`), of which one would be lost without a word."""
        if isinstance(document, dict) and isinstance(document.get("domains"), dict):
            seen: dict[str, str] = {}
            for name in document["domains"]:
                with suppress(AddressError):
                    other = seen.setdefault(parse_domain(name), name)
                    if other != name:
                        raise ValueError(f"domains {other!r} and {name!r} are the same one")
        return document

    @model_validator(mode="before")
    @classmethod
    def _inherit_checks(cls, document: object) -> object:
        """Lay each domain's `checks` over the global ones, before either is checked."""
        if not isinstance(document, dict) or not isinstance(document.get("domains"), dict):
            return document
        common = document.get("checks", {})
        try:
            Checks.model_validate(common)
        except ValidationError:
            # It is told once, at its own key, and not again for each domain.
            return document
        domains = {
            name: rules | {"checks": _laid_over(common, rules.get("checks", {}))} if isinstance(rules, dict) else rules
            for name, rules in document["domains"].items()
        }
        return document | {"domains": domains}

    def checks_of(self, domain: str) -> Checks:
        """Return the check rules for a recipient domain."""
        rules = self.domains.get(domain)
        return rules.checks if rules else self.checks

    def route_of(self, domain: str) -> Route:
        """Return where the mail of a domain goes: its own route, or the default one."""
        rules = self.domains.get(domain)
        return parse_route(rules.route if rules else self.default_route)


def parse_policy(text: str) -> Policy:
    """Return the checked policy of a TOML document. Raises PolicyError."""
    try:
        return Policy.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise PolicyError(explain(error)) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, 1,000 brackets
        raise PolicyError(f"not TOML: {error}") from None
