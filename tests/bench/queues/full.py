"""Owns what the runner knows of a system whose queue is filled first and emptied then (`FullQueue`)."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tests.bench.peer import Roles

# Connections to the sink: Postfix's default for a destination, and what Gatepost's policy is given here.
CONNECTIONS = 20


class FullQueue(Protocol):
    """A mail system whose queue goes to the sink."""

    @property
    def title(self) -> str:
        """Its name in the report."""
        ...

    def start(self) -> None:
        """Return when its queue can be filled."""
        ...

    def stop(self) -> None:
        """End every process; callable at any moment, also twice."""
        ...

    def fill(self, message: Path, count: int) -> None:
        """Put a message (LF line ends) into its queue so many times, on disk; none of it is delivered yet."""
        ...

    def delivering(self) -> AbstractContextManager[Roles]:
        """Deliver what is in the queue for the length of a `with`; names the processes at work."""
        ...

    def audit(self, messages: int) -> str:
        """Say what its own records tell of all messages so far, or raise NotProved unless each was delivered once."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Name the software that was measured."""
        ...
