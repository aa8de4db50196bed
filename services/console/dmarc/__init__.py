"""Aggregate reports to the owners of domains whose mail was checked by DMARC (RFC 9990), a day's at a time."""
