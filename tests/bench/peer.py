"""Owns what the runner knows of a measured system (`Peer`) and what a peer knows of its surroundings (`Lab`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.lab.ports import Ports

SENDER = "sender@bench.test"
RECIPIENT = "user@sink.test"

Roles = Mapping[str, Sequence[int]]
"""The root processes of each named part of a system; their descendants count with them."""


class NotProved(Exception):
    """A peer did not do the work that it is measured for."""


@dataclass(frozen=True, slots=True)
class Lab:
    """The shared surroundings; every address is on 127.0.0.1, so a port says all.

    folder: on a real disk, 0755, one sub-folder per user. sink_port: where all mail must arrive.
    """

    folder: Path
    ports: Ports
    dns_port: int
    clamd_port: int
    sink_port: int


class Peer(Protocol):
    """A mail system between the generator and the sink."""

    @property
    def title(self) -> str:
        """Its name in the report."""
        ...

    @property
    def refuses_malware(self) -> bool:
        """Whether EICAR must be refused in the session."""
        ...

    @property
    def port(self) -> int:
        """Where it takes SMTP; known after start."""
        ...

    def start(self) -> None:
        """Return when SMTP is answered and every part is warm."""
        ...

    def stop(self) -> None:
        """End every process; callable at any moment, also twice."""
        ...

    def roles(self) -> Roles:
        """Name its processes, in the order of the report."""
        ...

    def prove(self, delivered: str) -> None:
        """Raise NotProved unless the checks were made on the one message sent so far, as it was delivered."""
        ...

    def audit(self, messages: int) -> str:
        """Say what the peer's own records tell of the checks on all messages so far, or raise NotProved."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Name the software that was measured."""
        ...
