"""What edge knows about one SMTP session and the transaction in it.

Owns: `Session` and `Transaction`, plain state that the commands fill in and the rules read.
Standards: RFC 5321 §3.3 (the buffers of a transaction), RFC 3848 (the words of `with`).
"""

from dataclasses import dataclass, field

from services.edge.decide.refusal import Refusal
from shared.accounts import Account
from shared.envelope import Proof, Recipient, Ret
from shared.policy import Listener, SessionLimits, TlsMode
from shared.policy.client import Certificate, ClientFacts, plain_ip


@dataclass(slots=True)
class Transaction:
    """From MAIL to the end of the message. sender: None before MAIL, empty for the null reverse-path.

    declared_size: octets, 0 if none were declared.
    """

    sender: str | None = None
    recipients: list[Recipient] = field(default_factory=list)
    smtputf8: bool = False
    requiretls: bool = False
    ret: Ret | None = None
    envid: str | None = None
    declared_size: int = 0


@dataclass(slots=True)
class Session:
    """One connection. tls: version and cipher, or None. host_name: of HELO or EHLO, empty before.

    limits: in force for this session. name: confirmed by DNS, empty if there is none, None if not known.
    trusted: an access rule allows it, past bans, lists and greylisting. counted: limits by address hold for it.
    settled: no fact still to come changes what the access rules say. held_against: what DNS says against it, told at
    RCPT. places: keys of those it has taken. relay_proof: why it may send to domains that are not ours.
    """

    listener: str
    rules: Listener
    address: str
    port: int
    host_name: str = ""
    extended_smtp: bool = False
    limits: SessionLimits = field(default_factory=SessionLimits)
    name: str | None = None
    country: str | None = None
    certificate: Certificate | None = None
    trusted: bool = False
    counted: bool = True
    settled: bool = True
    held_against: Refusal | None = None
    places: tuple[str, ...] = ()
    tls: str | None = None
    account: Account | None = None
    relay_proof: Proof | None = None
    errors: int = 0
    unknown_commands: int = 0
    auth_failures: int = 0
    commands: int = 0
    messages: int = 0
    refused_recipients: int = 0

    @property
    def login(self) -> str | None:
        """The name of the account that is logged in."""
        return self.account.login if self.account else None

    @property
    def client(self) -> ClientFacts:
        """What rules may ask about the client, as far as it is known now."""
        return ClientFacts(
            plain_ip(self.address), self.name, self.host_name or None, self.country, self.login, self.certificate
        )

    @property
    def may_relay(self) -> bool:
        """Whether it may send to domains that are not ours."""
        return self.relay_proof is not None or self.account is not None

    @property
    def is_implicit_tls(self) -> bool:
        """Whether the client speaks TLS from the first octet."""
        return self.rules.tls is TlsMode.IMPLICIT

    def forget_client(self) -> None:
        """RFC 3207 §4.2, RFC 5321 §4.1.4: after STARTTLS what the client said before is discarded."""
        self.host_name = ""
        self.extended_smtp = False
