"""How long the console keeps what it wrote down (PURE)."""

from pydantic import Field

from shared.policy.table import Table


class RetentionRules(Table):
    """How long traces and held mail are kept. The audit is kept for ever.

    trace_days: since a message's last event; what still waits is kept twice as long, and what is held in quarantine as
    long as it is held. The recorder's other notes (orders, what nobody could read) go at the same age.
    quarantine_days: since the mail came; then it is deleted, which its trace says. 0: never.
    """

    trace_days: int = Field(30, ge=1, le=3650)
    quarantine_days: int = Field(30, ge=0, le=3650)
