"""Whom a session is opened with (PURE)."""

from dataclasses import dataclass
from enum import StrEnum


class Speech(StrEnum):
    """How a host is spoken to."""

    SMTP = "smtp"
    SMTPS = "smtps"
    LMTP = "lmtp"


@dataclass(frozen=True, slots=True)
class Target:
    """One address to connect to. host: its name, for TLS and trace. path: a unix socket instead of address and port.

    domain: whose MX it is, empty for a configured route. named_securely: the host's name comes from the policy, or from
    an MX answer (or its absence) that DNSSEC proves. secure: so does its address, where DNS told that.
    """

    speech: Speech
    host: str
    address: str = ""
    port: int = 0
    path: str = ""
    domain: str = ""
    named_securely: bool = False
    secure: bool = False

    def __str__(self) -> str:
        if self.path:
            return self.path
        address = f"[{self.address}]:{self.port}"
        return address if self.host == self.address else f"{self.host} {address}"
