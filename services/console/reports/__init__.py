"""What reports to domain owners have in common, be they on DMARC or on TLS: gathered, sent once a day, as mail."""
