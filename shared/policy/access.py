"""Access rules (PURE): who may connect at all, to which service.

The rules of a listener are read first, then the global ones; the first that matches wins; without any, everybody may
connect. A rule that asks for what is not known yet (the name in HELO) holds back those after it until it is known, or
until nothing more will be.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from shared.policy.client import CertificateText, ClientFacts, ClientMatch, Fit, fits_certificate


class AccessAction(StrEnum):
    """allow: past bans, block lists and greylisting, too. drop: closed without a word. tarpit: kept busy."""

    ALLOW = "allow"
    DENY = "deny"
    DEFER = "defer"
    DROP = "drop"
    TARPIT = "tarpit"


class Service(StrEnum):
    """What a rule protects. smtp: edge's listeners; metrics: `/metrics` of every service; console: web and API."""

    SMTP = "smtp"
    METRICS = "metrics"
    CONSOLE = "console"


class AccessRule(ClientMatch):
    """One rule. action: what comes of those who match. text: what a refused client is told. services: where it holds.

    certificates: "verified", or fingerprints; the listener must ask for client certificates, and the rules behind such
    a one wait until TLS stands, or MAIL comes without it. Names, countries and certificates are only known in SMTP;
    elsewhere a rule with such matchers is passed over.
    """

    action: AccessAction
    certificates: list[CertificateText] = []
    text: str = Field("", max_length=200)
    services: list[Service] = [Service.SMTP, Service.METRICS, Service.CONSOLE]

    def fit(self, client: ClientFacts) -> Fit:
        """Return whether the client is meant, by what is known of it."""
        fit = super().fit(client)
        if not self.certificates or fit is Fit.NO:
            return fit
        if client.certificate is None:
            return Fit.UNKNOWN
        return fit if fits_certificate(self.certificates, client.certificate) else Fit.NO


@dataclass(frozen=True, slots=True)
class Access:
    """What the rules say. rule: the one that decided, None where none matched. settled: no later fact changes it."""

    rule: AccessRule | None
    settled: bool = True

    @property
    def action(self) -> AccessAction | None:
        """The action of the rule that decided."""
        return self.rule.action if self.rule else None


def judge_access(
    rules: Iterable[AccessRule], client: ClientFacts, service: Service = Service.SMTP, *, final: bool = False
) -> Access:
    """Return what the first matching rule says of a client, by what is known of it now.

    final: no further fact will come. A rule whose name is still unknown is passed over then: a client whose own DNS
    does not answer must not escape the rules behind it.
    """
    for rule in rules:
        if service not in rule.services:
            continue
        fit = rule.fit(client)
        if fit is Fit.UNKNOWN and service is Service.SMTP and not final:
            return Access(None, settled=False)
        if fit is Fit.YES:
            return Access(rule)
    return Access(None)
