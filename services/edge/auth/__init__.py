"""Logging in: mechanisms, accounts and passwords."""
