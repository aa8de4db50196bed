"""Mail authentication that more than one stage needs: SPF, iprev, and who the author of a message says to be. PURE.

message splits a message; author reads From; iprev and spf evaluate over given answers, spf_check over the resolver;
spf_result holds what they return. What content alone needs (DKIM, ARC, DMARC) is in services/content/auth.
"""
