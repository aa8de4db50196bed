"""What SMTP said about a message, and what the stages have added since (PURE).

Owns: `Envelope` and its parts, as they travel in the header `envelope` of every mail in RabbitMQ.
Standards: RFC 5321 §2.3.1, RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 3461 (DSN), RFC 8689.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from shared.verdict import Verdict


class Direction(StrEnum):
    """Whose mail it is: towards our domains, or from our own users and hosts."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Body(StrEnum):
    """The BODY parameter of MAIL (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Ret(StrEnum):
    """The RET parameter of MAIL (RFC 3461 §4.3): what a failed DSN returns."""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(StrEnum):
    """A value of the NOTIFY parameter of RCPT (RFC 3461 §4.1)."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Proof(StrEnum):
    """Why the sender is proved, so that a DSN to it is no backscatter."""

    LOGIN = "login"
    RELAY_LIST = "relay-list"
    CLIENT_CERTIFICATE = "client-certificate"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Client:
    """Who handed the message to edge. address: IPv4 or IPv6 text. tls: version and cipher, or None. login: account."""

    address: str
    port: int
    helo: str
    esmtp: bool = True
    name: str | None = None
    tls: str | None = None
    login: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path. orcpt: `rfc822;text` as received (RFC 3461 §4.2)."""

    address: str
    notify: tuple[Notify, ...] = ()
    orcpt: str | None = None

    @property
    def domain(self) -> str:
        """The domain as policy knows it: in lower case, but a literal keeps its tag (`[IPv6:…]`)."""
        domain = self.address.rpartition("@")[2]
        return domain if domain.startswith("[") else domain.lower()

    def wants(self, event: Notify) -> bool:
        """Whether a DSN of this kind may be sent. RFC 3461 §4.1: without NOTIFY, failures and delays are reported."""
        if not self.notify:
            return event in (Notify.FAILURE, Notify.DELAY)
        return event in self.notify


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a stage has tried, and when it may again (Unix seconds).

    tried_at: when it last did, 0 if never. failure: of which class that was, for the ladder of such failures; failures:
    how many of this class came one after another.
    """

    attempts: int = 0
    not_before: float = 0.0
    last_reply: str = ""
    delay_notice_sent: bool = False
    tried_at: float = 0.0
    failure: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message's envelope. received_at: Unix seconds. sender: empty for the null reverse-path.

    hop: the next hop that delivery split this message for. parent: the id it was split from or, for a DSN, is about.
    results: the value of our Authentication-Results as on receipt, empty where the message bears it already.
    bypass: rules, such as `attachments.blocked`, that a release by released_by let it past.
    expanded: whether delivery has put those in the place of the recipients whom their domains' rules name (aliases,
    SRS), so that it is not done twice.
    """

    id: str
    received_at: float
    listener: str
    direction: Direction
    client: Client
    sender: str
    recipients: tuple[Recipient, ...]
    size_bytes: int
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    requiretls: bool = False
    ret: Ret | None = None
    envid: str | None = None
    proved: Proof | None = None
    verdict: Verdict | None = None
    hop: str | None = None
    parent: str | None = None
    retry: Retry = field(default_factory=Retry)
    results: str = ""
    bypass: tuple[str, ...] = ()
    released_by: str = ""
    expanded: bool = False

    def with_recipients(self, recipients: tuple[Recipient, ...]) -> "Envelope":
        """Return the same envelope for other recipients."""
        return replace(self, recipients=recipients)
