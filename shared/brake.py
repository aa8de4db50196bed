"""The brake on an account, as it stands in the shared state (PURE): content writes and heeds it, the console lifts it.

The value is the id of the message that was too much.
"""

BRAKE_PREFIX = "brake:"


def brake_key(login: str) -> str:
    """Return the key of an account's brake; the case of a login makes no other account."""
    return BRAKE_PREFIX + login.lower()
