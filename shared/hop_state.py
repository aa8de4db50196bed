"""The words for how a next hop is, as delivery tells the recorder (PURE)."""

from enum import StrEnum


class HopStatus(StrEnum):
    """open: mail goes there. slow: more mail comes than it takes, so some waits. backing-off: it asks us to go slower,
    and we do. shut: it could not be reached and is left alone for a while. suspended: by an administrator's order.
    """

    OPEN = "open"
    SLOW = "slow"
    BACKING_OFF = "backing-off"
    SHUT = "shut"
    SUSPENDED = "suspended"
