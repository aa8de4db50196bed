"""Client control (PURE): how much a client, login, sender or recipient may send, in what time."""

from enum import StrEnum

from pydantic import Field

from shared.policy.client import ClientMatch
from shared.policy.patterns import AddressPattern
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
    counts all together. messages, recipients_count, octets: rates. message_size_bytes: of one message. refuse: nothing
    at all. text: what the client is told. temporary: with a 4xx, to come again.
    """

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9_.-]+$")
    match: ClientMatch = ClientMatch()
    logins: list[str] = []
    senders: list[AddressPattern] = []
    recipients: list[AddressPattern] = []
    count_by: CountBy = CountBy.ADDRESS
    messages: RateText = None
    recipients_count: RateText = None
    octets: RateText = None
    message_size_bytes: int | None = Field(None, ge=1024)
    refuse: bool = False
    text: str = Field("", max_length=200)
    temporary: bool = True
