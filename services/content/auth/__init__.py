"""Mail authentication: a module per standard, each taking plain values and a look-up function. PURE throughout.

canon canonicalises; dkim and dmarc evaluate; proof answers who the sender is proved to be; results holds what they
return. What edge needs too (SPF, the author) is in shared/auth.
"""
