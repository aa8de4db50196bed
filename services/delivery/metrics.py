"""Delivery's figures for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

OUTCOMES = Counter("gatepost_delivery_recipients_total", "Recipients by what an attempt came to", ["status"])
ATTEMPT_SECONDS = Histogram(
    "gatepost_delivery_attempt_seconds",
    "How long attempts took",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 240),
)
PARKED = Counter("gatepost_delivery_parked_total", "Messages sent back to wait without an attempt, by why", ["reason"])
SPLITS = Counter("gatepost_delivery_splits_total", "Messages split by next hop")
NOTICES = Counter("gatepost_delivery_dsn_total", "Delivery status notifications written, by action", ["action"])
WITHHELD = Counter("gatepost_delivery_dsn_withheld_total", "Notifications not written, by why", ["reason"])
QUARANTINED = Counter("gatepost_delivery_quarantined_total", "Messages put into quarantine, by why", ["reason"])
REPEATED_ACKS = Counter(
    "gatepost_delivery_repeated_acks_total", "Redelivered messages that were delivered before, so only acknowledged"
)
UNDER_WAY = Gauge("gatepost_delivery_under_way", "Messages being handled")
PROBES = Counter("gatepost_delivery_probes_total", "Recipients asked for on behalf of edge, by result", ["result"])
