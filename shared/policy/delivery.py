"""How long edge waits, what delivery completes in outgoing mail, and reports on TLS (PURE)."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from shared.address import AddressError, parse_address, parse_domain
from shared.policy.content import PlainText, SenderText
from shared.policy.table import Domain, IpAddress, Table, no_key_twice


class VerdictRules(Table):
    """How long edge waits for a verdict while the session is open. header: whether delivered mail bears the verdict's
    reasons, as X-Gatepost-Verdict.
    """

    deadline_s: float = Field(20, gt=0, le=60)
    header: bool = False


def _address(text: str) -> str:
    try:
        return str(parse_address(text)).lower()
    except AddressError as error:
        raise ValueError(str(error)) from None


def _domain_or_below(text: str) -> str:
    try:
        return f"*.{parse_domain(text[2:])}" if text.startswith("*.") else parse_domain(text)
    except AddressError as error:
        raise ValueError(str(error)) from None


AddressText = Annotated[str, AfterValidator(_address)]
DomainOrBelow = Annotated[str, AfterValidator(_domain_or_below)]


class OutgoingRules(Table):
    """What becomes of mail of our own users and hosts on its way out.

    complete: add Date and Message-ID where they are missing. remove_bcc: take Bcc out. hide_received: take out the
    Received fields from before this gateway, and from ours who handed it in. addresses: senders that are written
    anew, one by one; masquerade: by their domain (`*.example.org`: all below it). Both in the envelope sender, `From`,
    `Sender` and `Reply-To`. What is written for itself stays, whatever the rest says.
    """

    complete: bool = Field(True, json_schema_extra={"standard": "RFC 6409 §8"})
    remove_bcc: bool = Field(True, json_schema_extra={"standard": "RFC 5322 §3.6.3"})
    hide_received: bool = False
    addresses: Annotated[dict[AddressText, AddressText], no_key_twice(_address)] = Field({}, max_length=10_000)
    masquerade: Annotated[dict[DomainOrBelow, Domain], no_key_twice(_domain_or_below)] = Field({}, max_length=1000)


class ForwardingRules(Table):
    """Mail that aliases send on to other people's domains. srs: write its sender anew, so that SPF holds and bounces
    find back; it needs `rewriting_secrets` in the settings of edge and delivery. srs_domain: one of our domains, in
    which senders are written; else the domain of the alias. bounces_s: for how long bounces are taken.
    """

    srs: bool = True
    srs_domain: Domain | None = None
    bounces_s: int = Field(864_000, ge=86_400, le=2_592_000)

    @model_validator(mode="after")
    def _domain_is_used(self) -> "ForwardingRules":
        if self.srs_domain is not None and not self.srs:
            raise ValueError("srs_domain has no effect: srs is false")
        return self


class GatewayRules(Table):
    """How the world sees this gateway, for `gatepost domain check`: the names that MX records give it, and the
    addresses that its mail comes from, where `interfaces` does not say so (behind an address translation).
    """

    names: list[Domain] = []
    addresses: list[IpAddress] = []


class TlsReportRules(Table):
    """Reports on TLS to the domains whose records ask for them. Off unless switched on. The keys are those of
    `dmarc_reports`.
    """

    enabled: bool = Field(False, json_schema_extra={"standard": "RFC 8460"})
    sender: SenderText = ""
    organization: PlainText = Field("", max_length=200)
    contact: PlainText = Field("", max_length=320)
