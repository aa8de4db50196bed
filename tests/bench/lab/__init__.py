"""Owns what every peer is measured with: the DNS zones, clamd, the sink, the generator and the messages."""
