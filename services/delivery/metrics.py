"""Delivery's figures for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

OUTCOMES = Counter("gatepost_delivery_recipients_total", "Recipients by what an attempt came to", ["status"])
PUT_OFF = Counter("gatepost_delivery_put_off_total", "Messages put off after an attempt, by class", ["failure"])
BOUNCES = Counter("gatepost_delivery_bounces_total", "Recipients that failed for good, by class", ["bounce"])
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
ORDERED = Counter("gatepost_delivery_ordered_total", "Messages ended by an administrator's order", ["order"])
REPEATED_ACKS = Counter(
    "gatepost_delivery_repeated_acks_total", "Redelivered messages that were delivered before, so only acknowledged"
)
UNDER_WAY = Gauge("gatepost_delivery_under_way", "Messages being handled")
PROBES = Counter("gatepost_delivery_probes_total", "Recipients asked for on behalf of edge, by result", ["result"])
HOPS = Gauge("gatepost_delivery_hops", "Next hops that this process knows, by how they are", ["state"])
WAITING = Gauge(
    "gatepost_delivery_waiting", "Messages that this process sent to wait for a hop, and that have not come by since"
)
DKIM_SIGNED = Counter("gatepost_delivery_dkim_signatures_total", "DKIM signatures made, by algorithm", ["algorithm"])
DKIM_UNSIGNED = Counter(
    "gatepost_delivery_dkim_unsigned_total", "Mail of ours that left without a DKIM signature, by why", ["reason"]
)
DKIM_UNPUBLISHED = Counter(
    "gatepost_delivery_dkim_unpublished_total", "Answers of DNS that did not hold the key that was to sign"
)
