"""Addresses that are not what they say (PURE): aliases, SRS, BATV; one answer for edge and delivery."""
