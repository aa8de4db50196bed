"""How delivery speaks to the next hops (PURE): bounds, TLS, login and interface, for all of them and for each.

`[delivery]` holds for every hop; `[destinations.X]` is laid over it, key by key, for one of them, and its `retry` over
`[retry]`. A secret is the name of a file in the folder `secrets_dir` of delivery's settings, never a path: who may
write the policy cannot read other files by it.
"""

import datetime as dt
import re
from contextlib import suppress
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from shared.address import AddressError, parse_domain
from shared.policy.retry import RetryRules
from shared.policy.table import Domain, IpAddress, RateText, Table
from shared.routes import RouteError, RouteKind, parse_route

_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")


def _secret(text: str) -> str:
    if not _SECRET.match(text):
        raise ValueError(f"{text[:80]!r} is not the name of a file in delivery's secrets_dir (letters, digits, . _ -)")
    return text


def _fingerprint(text: str) -> str:
    digits = text.replace(":", "").lower()
    if not _FINGERPRINT.match(digits):
        raise ValueError(f"{text[:80]!r} is not a SHA-256 digest (64 hexadecimal digits, colons allowed)")
    return digits


SecretName = Annotated[str, AfterValidator(_secret)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]


class OutboundTls(StrEnum):
    """TLS towards a hop. opportunistic: where it is offered, whatever the certificate. required: always, whatever the
    certificate. verified: with a certificate for the hop's name by a known authority. fingerprint: with one of
    `tls_fingerprints`. dane: with one that the hop's TLSA records name. off: never.

    `smtps://` is TLS by itself. A socket (`lmtp:/path`) leaves no host, and knows `off` and `opportunistic` alone.
    """

    OFF = "off"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"
    FINGERPRINT = "fingerprint"
    DANE = "dane"


class TlsRequiredNo(StrEnum):
    """What becomes of a message whose header says `TLS-Required: No`. honour: it goes in spite of what its recipient's
    domain publishes on TLS (DANE, MTA-STS), at worst in plain text; what `tls` demands stays. ignore: it goes as any
    other.
    """

    HONOUR = "honour"
    IGNORE = "ignore"


class OutboundMechanism(StrEnum):
    """SASL mechanisms towards a smart host."""

    SCRAM_SHA_256 = "SCRAM-SHA-256"
    CRAM_MD5 = "CRAM-MD5"
    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    XOAUTH2 = "XOAUTH2"
    GSSAPI = "GSSAPI"


# What gives the secret itself to the hop, so that it must be known to be the right one.
_GIVES_SECRET = frozenset({OutboundMechanism.PLAIN, OutboundMechanism.LOGIN, OutboundMechanism.XOAUTH2})
_KNOWS_HOP = frozenset({OutboundTls.VERIFIED, OutboundTls.FINGERPRINT, OutboundTls.DANE})


class OutboundAuth(Table):
    """A login at a hop. secret: the file with the password, the bearer token (XOAUTH2) or the client keytab (GSSAPI).

    mechanisms: in the order of preference; the first that the hop offers is used. PLAIN, LOGIN and XOAUTH2 give the
    secret away, and need `tls = "verified"`, `"fingerprint"` or `"dane"`.
    """

    login: str = Field(min_length=1, max_length=320)
    secret: SecretName
    mechanisms: list[OutboundMechanism] = Field(
        [OutboundMechanism.SCRAM_SHA_256, OutboundMechanism.CRAM_MD5, OutboundMechanism.PLAIN, OutboundMechanism.LOGIN],
        min_length=1,
    )


class DeliveryRules(Table):
    """How a hop is spoken to. Bounds hold over all delivery processes, where they share a Redis.

    connections_per_hop: open at a time. rate: messages handed to a hop. tls_names: names that its certificate may bear
    instead of the hop's own. tls_fingerprints: of certificates, or of their public keys, which outlive a renewal.
    tls_authority: the file with the certificates of the authorities to trust, else the system's. client_certificate:
    the file with our certificate, its chain and its key. dane, mta_sts: whether hosts that DNS names are held to what
    they publish, beyond `tls`. tls_required_no: whether mail whose header says `TLS-Required: No` is spared that, and
    goes in plain text where STARTTLS fails; what `tls` demands stays. interface: of `interfaces`, whence to connect.
    """

    connections_per_hop: int = Field(10, ge=1, le=1000)
    messages_per_connection: int = Field(100, ge=1)
    recipients_per_transaction: int = Field(100, ge=1, le=1000, json_schema_extra={"standard": "RFC 5321 §4.5.3.1.8"})
    rate: RateText = None
    connect_timeout_s: float = Field(15, gt=0, le=120)
    idle_timeout_s: float = Field(5, ge=0, le=300)
    tls: OutboundTls = Field(OutboundTls.OPPORTUNISTIC, json_schema_extra={"standard": "RFC 3207, RFC 7435"})
    tls_names: list[Domain] = []
    tls_fingerprints: list[Fingerprint] = []
    tls_authority: SecretName | None = None
    client_certificate: SecretName | None = None
    dane: bool = Field(True, json_schema_extra={"standard": "RFC 7672"})
    mta_sts: bool = Field(True, json_schema_extra={"standard": "RFC 8461"})
    tls_required_no: TlsRequiredNo = Field(TlsRequiredNo.HONOUR, json_schema_extra={"standard": "RFC 8689 §3"})
    auth: OutboundAuth | None = Field(None, json_schema_extra={"standard": "RFC 4954"})
    interface: str | None = None

    @model_validator(mode="after")
    def _secrets_stay_secret(self) -> "DeliveryRules":
        if self.tls is OutboundTls.FINGERPRINT and not self.tls_fingerprints:
            raise ValueError('tls = "fingerprint" needs tls_fingerprints')
        if self.auth is not None and self.tls is OutboundTls.OFF:
            raise ValueError("auth needs TLS")
        if self.auth is not None and self.tls not in _KNOWS_HOP:
            given = [name for name in self.auth.mechanisms if name in _GIVES_SECRET]
            if given:
                raise ValueError(
                    f'auth with {given[0]} would give the secret to whoever answers: set tls to "verified", '
                    '"fingerprint" or "dane", or leave that mechanism out'
                )
        return self


class Destination(DeliveryRules):
    """What differs for one hop: a domain that is reached by MX, `*.example.org` for all below it, or a route as
    `domains` and `default_route` name it (`smtp://host:25`).
    """

    retry: RetryRules = RetryRules()


def destination_key(text: str) -> str:
    """Return the canonical key of a destination: a domain, `*.domain`, or a route's text. Raises ValueError."""
    if ":" in text:
        try:
            route = parse_route(text)
        except RouteError as error:
            raise ValueError(str(error)) from None
        if route.kind is RouteKind.MAILDIR:
            raise ValueError(f"{text!r}: nothing is spoken to a Maildir")
        return str(route)
    try:
        return f"*.{parse_domain(text[2:])}" if text.startswith("*.") else parse_domain(text)
    except AddressError as error:
        raise ValueError(f"destination {text[:80]!r}: {error}") from None


DestinationKey = Annotated[str, AfterValidator(destination_key)]


def sender_key(sender: str) -> str:
    """Return the form in which senders of interfaces are compared: an address or `@domain`, in lower case.

    Deliberately without regard to the case of local parts: two mailboxes that differ in it alone are one sender here.
    A domain that is none stays as it is, and is no interface's.
    """
    local_part, _, domain = sender.rpartition("@")
    if not domain.isascii():
        with suppress(AddressError):
            domain = parse_domain(domain)
    return f"{local_part}@{domain}".lower()


class PortRange(Table):
    """Source ports of an interface, both included, for firewalls that go by them."""

    first: int = Field(ge=1024, le=65535)
    last: int = Field(ge=1024, le=65535)

    @model_validator(mode="after")
    def _in_order(self) -> "PortRange":
        if self.first > self.last:
            raise ValueError(f"the first port, {self.first}, is above the last, {self.last}")
        return self


class WarmUp(Table):
    """A schedule for new addresses: how many messages a day go from each address to each hop, day by day from `begin`
    on; until then, the first day's bound holds. After the last day, there is no bound.
    """

    begin: dt.date
    per_day: list[Annotated[int, Field(ge=1)]] = Field(min_length=1, max_length=366)


def _own_address(address: IpAddress) -> IpAddress:
    if address.is_unspecified or address.is_multicast or getattr(address, "ipv4_mapped", None) is not None:
        raise ValueError(f"{address} is no address to connect from")
    return address


class Interface(Table):
    """Whence connections go out. addresses: a pool, taken in turn; each process uses those that its host has. hostname:
    the name in EHLO, which should be theirs in DNS; else that of the settings. senders: addresses and `@domain`s whose
    mail goes out here, before what a destination says. ports: source ports; else any.
    """

    addresses: list[Annotated[IpAddress, AfterValidator(_own_address)]] = Field(min_length=1, max_length=256)
    hostname: Domain | None = None
    ports: PortRange | None = None
    senders: list[str] = []
    warm_up: WarmUp | None = None

    @model_validator(mode="after")
    def _no_address_twice(self) -> "Interface":
        if twice := next((one for one in self.addresses if self.addresses.count(one) > 1), None):
            raise ValueError(f"addresses: {twice} stands there twice")
        return self

    @model_validator(mode="after")
    def _senders_are_addresses(self) -> "Interface":
        for sender in self.senders:
            local_part, at, domain = sender.rpartition("@")
            try:
                parse_domain(domain)
            except AddressError as error:
                raise ValueError(f"senders: {sender!r}: {error}") from None
            if not at or any(sign in local_part for sign in " <>"):
                raise ValueError(f"senders: {sender!r} is neither an address nor @domain")
        return self
