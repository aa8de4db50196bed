"""Greylisting (PURE rules): who comes for the first time is asked to come again."""

from pydantic import Field, model_validator

from shared.policy.client import ClientMatch
from shared.policy.patterns import AddressPattern
from shared.policy.table import Table


class GreylistRules(Table):
    """Greylisting by (network, sender, recipient) on inbound listeners.

    wait_s: how long a first try waits. retry_within_s: until when it must have come again. allow_after: so many
    messages that were judged clean, and their network is no longer asked. remember_s: how long what was learned counts
    after it was last seen. exempt: clients that are never asked; senders, recipients: addresses that are not. Nor are
    logged-in users, relay clients, people whom our users wrote to, and senders that pass SPF and whose earlier mail was
    judged clean.
    """

    enabled: bool = False
    wait_s: int = Field(60, ge=0, le=3600, json_schema_extra={"standard": "RFC 6647 §5"})
    retry_within_s: int = Field(86_400, ge=60, json_schema_extra={"standard": "RFC 6647 §5"})
    allow_after: int = Field(3, ge=1)
    remember_s: int = Field(3_024_000, ge=3600, json_schema_extra={"standard": "RFC 6647 §5"})
    exempt: list[ClientMatch] = []
    senders: list[AddressPattern] = []
    recipients: list[AddressPattern] = []

    @model_validator(mode="after")
    def _leaves_time(self) -> "GreylistRules":
        if self.retry_within_s <= self.wait_s:
            raise ValueError(f"retry_within_s = {self.retry_within_s} leaves no time after wait_s = {self.wait_s}")
        return self
