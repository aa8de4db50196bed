"""What TLS is demanded of a host (PURE).

Output: `TlsDemand`, which a session meets or does not begin: never a silent downgrade.
Standards: RFC 7435 (opportunistic security), RFC 7672 (DANE), RFC 8461 (MTA-STS), RFC 8689 (REQUIRETLS).
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.dns.answer import TLSA
from shared.policy.destination import OutboundTls
from shared.tls_seen import NOTHING_PUBLISHED, TlsFailure, TlsPolicy

AUTHENTICATED = frozenset({OutboundTls.VERIFIED, OutboundTls.FINGERPRINT, OutboundTls.DANE})


class Demander(StrEnum):
    """Who demands it."""

    POLICY = "policy"
    DANE = "dane"
    MTA_STS = "mta-sts"
    REQUIRETLS = "requiretls"


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What a host must show; all of it.

    level: `verified` means a certificate by an authority and for one of `names`; `fingerprint` one of `fingerprints`.
    tlsa: usable records, of which one must match whatever the level is; tlsa_names: what DANE-TA goes by.
    server_name: which certificate is asked for (SNI), empty for that of the host's name.
    authority, client_certificate: names of secrets, None for the system's and for none. requiretls: the host must offer
    REQUIRETLS, too. trial: names that MTA-STS in testing would have: nothing is refused by them, but it is told.
    published: what the domain says, and trouble: what was wrong with that; is_told: whether sessions are told of at
    all. These three are for reports alone.
    """

    level: OutboundTls = OutboundTls.OPPORTUNISTIC
    demander: Demander = Demander.POLICY
    names: tuple[str, ...] = ()
    server_name: str = ""
    tlsa: tuple[TLSA, ...] = ()
    tlsa_names: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    authority: str | None = None
    client_certificate: str | None = None
    requiretls: bool = False
    trial: tuple[str, ...] = ()
    published: TlsPolicy = NOTHING_PUBLISHED
    trouble: TlsFailure | None = None
    is_told: bool = True

    @property
    def is_authenticated(self) -> bool:
        """Whether a host that meets it is known to be the right one."""
        return self.level in AUTHENTICATED or bool(self.tlsa)

    @property
    def word(self) -> str:
        """What the trace says of a session over TLS that met it."""
        if self.level is OutboundTls.VERIFIED and self.demander is Demander.MTA_STS:
            return "mta-sts"
        return self.level.value
