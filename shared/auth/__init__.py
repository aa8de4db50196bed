"""Mail authentication that more than one stage needs: SPF, and who the author of a message says to be. PURE throughout.

message splits a message; author reads From; spf evaluates over given answers, spf_check over the resolver; spf_result
holds what they return. What content alone needs (DKIM, DMARC) is in services/content/auth.
"""
