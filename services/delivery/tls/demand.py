"""What TLS is demanded of a host (PURE).

Output: `TlsDemand`, which a session meets or does not begin: never a silent downgrade.
Standards: RFC 7435 (opportunistic security), RFC 7672 (DANE), RFC 8461 (MTA-STS), RFC 8689 (REQUIRETLS).
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.dns.answer import TLSA
from shared.policy.destination import OutboundTls


class Demander(StrEnum):
    """Who demands it."""

    POLICY = "policy"
    DANE = "dane"
    MTA_STS = "mta-sts"
    REQUIRETLS = "requiretls"


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What a host must show. names: that its certificate may bear (verified; DANE-TA). tlsa: its usable records (dane).

    authority, client_certificate: names of secrets, None for the system's and for none. requiretls: the host must offer
    REQUIRETLS, too.
    """

    level: OutboundTls = OutboundTls.OPPORTUNISTIC
    demander: Demander = Demander.POLICY
    names: tuple[str, ...] = ()
    tlsa: tuple[TLSA, ...] = ()
    fingerprints: tuple[str, ...] = ()
    authority: str | None = None
    client_certificate: str | None = None
    requiretls: bool = False
