"""Reports on TLS to the domains that our mail goes to (RFC 8460), a day's at a time."""
