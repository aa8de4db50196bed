"""Whom a check does not apply to, and why (PURE).

A rule's matchers must all fit; of a matcher's list, one is enough; a matcher that is not given fits everything. What an
exempt check saw still stands in the verdict, beside the exemption's name.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from shared.policy.client import LoginText, in_networks, plain_ip
from shared.policy.patterns import AddressPattern, NamePattern, matches_address, matches_name
from shared.policy.table import Domain, Network, Table
from shared.verdict import CheckName


@dataclass(frozen=True, slots=True)
class Mail:
    """What exemptions ask of a mail. direction: `inbound` or `outbound`. name: the client's, confirmed, or None."""

    direction: str
    address: str
    name: str | None
    sender: str
    proved: bool
    login: str | None


class Exemption(Table):
    """An exemption from some checks. reason: why, for whoever reads a verdict.

    networks: the client's address. reverse_names: its confirmed name. senders: MAIL FROM, of proved senders alone, for
    anybody can write another's address there. logins: of accounts. domains: of recipients.
    """

    name: str = Field(min_length=1, max_length=60)
    reason: str = Field(min_length=1, max_length=200)
    checks: list[CheckName] = Field(min_length=1)
    direction: Literal["inbound", "outbound", "both"] = "both"
    networks: list[Network] = []
    reverse_names: list[NamePattern] = []
    senders: list[AddressPattern] = []
    logins: list[LoginText] = []
    domains: list[Domain] = []

    @model_validator(mode="after")
    def _names_somebody(self) -> "Exemption":
        if not (self.networks or self.reverse_names or self.senders or self.logins or self.domains):
            raise ValueError(
                f"exemption {self.name!r} names nobody: give networks, reverse_names, senders, logins or domains, "
                "or switch the check off with `enabled = false`"
            )
        return self

    def fits(self, mail: Mail, domain: str) -> bool:
        """Whether it applies to a mail for recipients of a domain."""
        if self.direction not in ("both", mail.direction) or (self.domains and domain not in self.domains):
            return False
        if self.networks and not in_networks(self.networks, plain_ip(mail.address)):
            return False
        if self.reverse_names and not any(matches_name(pattern, mail.name) for pattern in self.reverse_names):
            return False
        if self.logins and (mail.login or "").lower() not in self.logins:
            return False
        return not self.senders or (
            mail.proved and any(matches_address(pattern, mail.sender) for pattern in self.senders)
        )
