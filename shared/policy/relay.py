"""Who may send to domains that are not ours (PURE). By default nobody but our users who have logged in."""

from enum import StrEnum

from pydantic import Field, model_validator

from shared.policy.client import CertificateText, ClientFacts, fits_certificate, in_networks, plain_ip
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
    logins: list[str] = []
    senders: list[AddressPattern] = []
    recipients: list[AddressPattern] = []

    @model_validator(mode="after")
    def _somebody_known(self) -> "RelayRule":
        # What a client says of itself proves nothing: anybody may claim a sender.
        if self.action is RelayAction.ALLOW and not (self.networks or self.certificates or self.logins):
            raise ValueError("an allow rule must name networks, certificates or logins: senders can be forged")
        return self

    def fits(self, client: ClientFacts, sender: str, recipient: str) -> bool:
        """Whether the rule is about this client, sender and recipient."""
        return (
            (not self.networks or in_networks(self.networks, client.address))
            and (not self.certificates or fits_certificate(self.certificates, client.certificate))
            and (not self.logins or (client.login or "").lower() in {login.lower() for login in self.logins})
            and (not self.senders or any(matches_address(pattern, sender) for pattern in self.senders))
            and (not self.recipients or any(matches_address(pattern, recipient) for pattern in self.recipients))
        )


class Relay(Table):
    """Who may send to any domain. networks: without a login, none by default. rules: read before, first match wins."""

    networks: list[Network] = []
    rules: list[RelayRule] = Field([], max_length=1000)

    def allows(self, address: str) -> bool:
        """Whether a client address is in `networks`. An IPv4 client of an IPv6 socket counts as IPv4."""
        return bool(self.networks) and in_networks(self.networks, plain_ip(address))

    def judge(self, client: ClientFacts, sender: str, recipient: str) -> bool:
        """Whether the client may send from here to a domain that is not ours.

        sender: empty for the null sender. A login may, and so may the listed networks, unless a rule says otherwise.
        """
        for rule in self.rules:
            if rule.fits(client, sender, recipient):
                return rule.action is RelayAction.ALLOW
        return client.login is not None or in_networks(self.networks, client.address)
