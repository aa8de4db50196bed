"""Client control (PURE): how much a client, login, sender or recipient may send, in what time."""

from enum import StrEnum

from pydantic import Field, model_validator

from shared.policy.client import ClientFacts, ClientMatch, Fit, LoginText
from shared.policy.patterns import AddressPattern, matches_address
from shared.policy.table import RateText, Table


class CountBy(StrEnum):
    """What a rule's rates are counted by."""

    ADDRESS = "address"
    NETWORK = "network"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    RULE = "rule"


class ClientControl(Table):
    """One rule. All rules that match hold, each with its own counts.

    match: the client. logins, senders, recipients: further matchers. count_by: what each count belongs to; `rule`
    counts all together, `login` only who has logged in. messages (at MAIL), recipients_count, octets: rates; a rule
    that names recipients, or counts by them, counts a message once for each. message_size_bytes: of one message.
    refuse: nothing at all. text: what the client is told. temporary: with a 4xx, to come again; by default rates are
    temporary, and `refuse` is not.
    """

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9_.-]+$")
    match: ClientMatch = ClientMatch()
    logins: list[LoginText] = []
    senders: list[AddressPattern] = []
    recipients: list[AddressPattern] = []
    count_by: CountBy = CountBy.ADDRESS
    messages: RateText = None
    recipients_count: RateText = None
    octets: RateText = None
    message_size_bytes: int | None = Field(None, ge=1024)
    refuse: bool = False
    text: str = Field("", max_length=200)
    temporary: bool | None = None

    @model_validator(mode="after")
    def _does_something(self) -> "ClientControl":
        limits = (self.messages, self.recipients_count, self.octets, self.message_size_bytes)
        if not self.refuse and all(limit is None for limit in limits):
            raise ValueError(f"the rule {self.name!r} does nothing: give it a rate, a size, or refuse = true")
        return self

    @property
    def is_about_recipients(self) -> bool:
        """Whether it only holds once a recipient is known."""
        return bool(self.recipients) or self.count_by is CountBy.RECIPIENT

    def fits(self, client: ClientFacts, sender: str) -> bool:
        """Whether the rule is about this client and sender. sender: empty for the null sender."""
        return (
            self.match.fit(client) is Fit.YES
            and (not self.logins or (client.login is not None and client.login.lower() in self.logins))
            and (not self.senders or any(matches_address(pattern, sender) for pattern in self.senders))
        )

    def fits_recipient(self, recipient: str) -> bool:
        """Whether the rule is about this recipient."""
        return not self.recipients or any(matches_address(pattern, recipient) for pattern in self.recipients)
