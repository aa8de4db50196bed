"""On what terms a session with a host is opened (PURE).

Owns: who we are there (`Source`), what TLS it must have, whether we log in, and how long it may take.
"""

from dataclasses import dataclass

from services.delivery.tls.demand import TlsDemand
from shared.policy.destination import OutboundAuth


@dataclass(frozen=True, slots=True)
class Source:
    """Who we are towards a host. name: in EHLO. address: whence to connect, None for any. ports: first and last."""

    name: str
    address: str | None = None
    ports: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """source: who we are. tls: what the host must show. auth: how to log in, None for not at all."""

    source: Source
    connect_timeout_s: float
    tls: TlsDemand
    auth: OutboundAuth | None = None
