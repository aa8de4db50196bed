"""The rules of a listener (PURE)."""

from enum import StrEnum

from pydantic import Field, model_validator

from shared.envelope import Direction
from shared.policy.access import AccessRule
from shared.policy.limits import SessionLimits
from shared.policy.table import Network, Table


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


class ClientCertificates(StrEnum):
    """Whether clients are asked for a certificate; one that is given must verify against `client_ca_file`.

    A client that gives another one does not get in, so strangers (a public MX) should not be asked. require: no MAIL
    without one.
    """

    OFF = "off"
    ASK = "ask"
    REQUIRE = "require"


class Mechanism(StrEnum):
    """SASL mechanisms. The -PLUS form of SCRAM goes with SCRAM-SHA-256 wherever the channel can be bound."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    CRAM_MD5 = "CRAM-MD5"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    GSSAPI = "GSSAPI"


class Listener(Table):
    """The rules of one listener; its address and certificate are settings of the edge.

    proxy_from: addresses whose connections begin with a PROXY header (version 1 or 2). xclient_from: clients that may
    say XCLIENT. greet_wait_s: how long a client that is new here waits for the greeting of an inbound listener; one
    that talks meanwhile is refused. from_owned: the addresses in `From:` and `Sender:` must belong to the login, as
    the envelope sender always must. requiretls: offer REQUIRETLS. limits: what differs from the global ones. access:
    rules that come before the global ones.
    """

    purpose: Purpose
    tls: TlsMode = Field(TlsMode.OPPORTUNISTIC, json_schema_extra={"standard": "RFC 3207, RFC 8314"})
    client_certificates: ClientCertificates = ClientCertificates.OFF
    auth: bool = Field(False, json_schema_extra={"standard": "RFC 4954"})
    mechanisms: list[Mechanism] = [Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.SCRAM_SHA_256]
    from_owned: bool = True
    chunking: bool = Field(False, json_schema_extra={"standard": "RFC 3030"})
    dsn: bool = Field(False, json_schema_extra={"standard": "RFC 3461"})
    requiretls: bool = Field(False, json_schema_extra={"standard": "RFC 8689"})
    proxy_from: list[Network] = Field([], json_schema_extra={"standard": "PROXY protocol"})
    xclient_from: list[Network] = []
    greet_wait_s: float = Field(1, ge=0, le=60)
    access: list[AccessRule] = []
    limits: SessionLimits = SessionLimits()

    @property
    def direction(self) -> Direction:
        """Whose mail comes in here."""
        return Direction.INBOUND if self.purpose is Purpose.INBOUND else Direction.OUTBOUND

    @model_validator(mode="after")
    def _no_auth_without_tls(self) -> "Listener":
        if self.auth and self.tls is TlsMode.OFF:
            raise ValueError("auth = true needs TLS: set tls to opportunistic, required or implicit")
        if self.auth and not self.mechanisms:
            raise ValueError("auth = true needs mechanisms")
        if self.client_certificates is not ClientCertificates.OFF and self.tls is TlsMode.OFF:
            raise ValueError("client_certificates need TLS: set tls to opportunistic, required or implicit")
        if self.requiretls and self.tls is TlsMode.OFF:
            raise ValueError("requiretls = true needs TLS")
        return self
