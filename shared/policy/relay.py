"""Who may send to domains that are not ours (PURE). By default nobody but our users who have logged in."""

from enum import StrEnum

from pydantic import Field, model_validator

from shared.envelope import Proof
from shared.policy.client import CertificateText, ClientFacts, LoginText, fits_certificate, in_networks
from shared.policy.patterns import AddressPattern, matches_address
from shared.policy.table import Network, Table


class RelayAction(StrEnum):
    """What a relay rule says."""

    ALLOW = "allow"
    DENY = "deny"


class RelayRule(Table):
    """One rule: all its matchers must fit. An `allow` rule must name networks, certificates or logins."""

    action: RelayAction
    networks: list[Network] = []
    certificates: list[CertificateText] = []
    logins: list[LoginText] = []
    senders: list[AddressPattern] = []
    recipients: list[AddressPattern] = []

    @model_validator(mode="after")
    def _somebody_known(self) -> "RelayRule":
        # What a client says of itself proves nothing: anybody may claim a sender.
        if self.action is RelayAction.ALLOW and not (self.networks or self.certificates or self.logins):
            raise ValueError("an allow rule must name networks, certificates or logins: senders can be forged")
        return self

    def fits(self, client: ClientFacts, sender: str, recipient: str | None) -> bool:
        """Whether the rule is about this client, sender and recipient. recipient: None for any."""
        return (
            (not self.networks or in_networks(self.networks, client.address))
            and (not self.certificates or fits_certificate(self.certificates, client.certificate))
            and (not self.logins or (client.login is not None and client.login.lower() in self.logins))
            and (not self.senders or any(matches_address(pattern, sender) for pattern in self.senders))
            and (
                not self.recipients
                or recipient is None
                or any(matches_address(pattern, recipient) for pattern in self.recipients)
            )
        )


class Relay(Table):
    """Who may send to any domain. networks: without a login, none by default. rules: read before, first match wins."""

    networks: list[Network] = []
    rules: list[RelayRule] = Field([], max_length=1000)

    def proof(self, client: ClientFacts, sender: str) -> Proof | None:
        """Return why this client is one of ours with this sender, so that it may relay somewhere; None if it is not."""
        if client.login is not None:
            return Proof.LOGIN
        for rule in self.rules:
            if rule.fits(client, sender, None):
                if rule.action is RelayAction.ALLOW:
                    return Proof.CLIENT_CERTIFICATE if rule.certificates else Proof.RELAY_LIST
                if not rule.recipients:
                    return None
        return Proof.RELAY_LIST if in_networks(self.networks, client.address) else None

    def judge(self, client: ClientFacts, sender: str, recipient: str) -> bool:
        """Whether the client may send from here to a domain that is not ours.

        sender: empty for the null sender. A login may, and so may the listed networks, unless a rule says otherwise.
        """
        for rule in self.rules:
            if rule.fits(client, sender, recipient):
                return rule.action is RelayAction.ALLOW
        return client.login is not None or in_networks(self.networks, client.address)
