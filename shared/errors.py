"""The two families of errors, temporary and permanent (PURE).

Each carries a `reply` with a generic public text, and a private reason for log and trace. What is expected (a failed
check, a recipient refused by the next hop) is a value, not an error. What is unknown is temporary.
"""

from shared.reply import Reply

LOCAL_ERROR = Reply(451, "4.3.0", "Local error in processing, try again later")
NO_CAPACITY = Reply(452, "4.3.1", "Insufficient system storage, try again later")


class GatepostError(Exception):
    """Base of both families. reason: private, for log and trace; reply: what a client may be told."""

    def __init__(self, reason: str, reply: Reply) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


class TemporaryError(GatepostError):
    """Something that may be gone at the next try; mail stays where it is."""

    def __init__(self, reason: str, reply: Reply = LOCAL_ERROR) -> None:
        super().__init__(reason, reply)


class PermanentError(GatepostError):
    """Something that no further try will mend."""


class SettingsError(Exception):
    """Settings or policy that cannot be used; the text names the file, the key and what is wrong."""
