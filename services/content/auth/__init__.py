"""Mail authentication: a module per standard, each taking plain values and a look-up function. PURE throughout.

message and canon split and canonicalise; spf, dkim and dmarc evaluate; author reads From; proof answers who the sender
is proved to be; results holds what they all return.
"""
