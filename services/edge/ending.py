"""How a session ends (PURE): the exceptions that end it, with their last words."""

from services.edge.decide.refusal import Manner
from shared.reply import Reply

TIMED_OUT = Reply(421, "4.4.2", "Timeout, closing the session")
SHUTTING_DOWN = Reply(421, "4.3.2", "Service shutting down, closing the session")


class Over(Exception):
    """The session ends. reply: its last words, if any. manner: how they are said."""

    def __init__(self, reply: Reply | None = None, manner: Manner = Manner.REPLY) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.manner = manner


class TimedOut(Over):
    """A deadline has passed."""

    def __init__(self) -> None:
        super().__init__(TIMED_OUT)
