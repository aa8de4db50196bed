"""The times that reports of all kinds keep (PURE: constants)."""

ROUND_S = 900.0
# What happened at the end of a day may be told a little later.
SETTLED_S = 3600
# For so long, what cannot be reported is kept.
KEPT_DAYS = 7
