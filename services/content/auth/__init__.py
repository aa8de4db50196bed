"""Mail authentication: a module per standard, each taking plain values and a look-up function. PURE throughout.

canon canonicalises and digests hashes; dkim, arc and dmarc evaluate; proof answers who the sender is proved to be;
results holds what they return, and writes Authentication-Results. What edge needs too (SPF, iprev, the author) is in
shared/auth.
"""
