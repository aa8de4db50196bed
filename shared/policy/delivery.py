"""Bounds of waiting and delivery (PURE)."""

from typing import Annotated

from pydantic import Field

from shared.policy.table import Table


class RetryRules(Table):
    """When delivery tries again. steps_s: waits after the first attempts; the last one repeats."""

    steps_s: list[Annotated[int, Field(ge=1)]] = Field([60, 300, 900, 1800, 3600, 7200, 10_800, 14_400], min_length=1)
    # RFC 5321 §4.5.4.1: give up after 4 to 5 days.
    lifetime_s: int = Field(432_000, ge=60, le=1_209_600)
    delay_notice_after_s: int = Field(14_400, ge=60)


class VerdictRules(Table):
    """How long edge waits for a verdict while the session is open. header: whether delivered mail bears the verdict's
    reasons, as X-Gatepost-Verdict.
    """

    deadline_s: float = Field(20, gt=0, le=60)
    header: bool = False


class DeliveryRules(Table):
    """Bounds of delivery."""

    connections_per_hop: int = Field(10, ge=1, le=1000)
    messages_per_connection: int = Field(100, ge=1)
    connect_timeout_s: float = Field(15, gt=0, le=120)
    idle_timeout_s: float = Field(5, ge=0, le=300)
