"""What an antispam engine is asked and says (PURE): the port that Rspamd and spamd fill."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from services.content.auth.arc_result import ArcResult
from services.content.auth.results import DkimResult, DmarcResult
from shared.auth.spf_result import SpfResult
from shared.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Symbol:
    """One rule of the engine that matched. text: what it matched on, safe to show; may be empty."""

    name: str
    score: float
    text: str = ""


class Forced(StrEnum):
    """What an engine insists on, whatever the score."""

    REJECT = "reject"
    SOFT_REJECT = "soft reject"


@dataclass(frozen=True, slots=True)
class SpamReport:
    """An engine's word. engine: its name for people. symbols: those that weigh most first, a bounded number.

    examined_bytes: how much of the message it was given, from the beginning; None: all.
    """

    engine: str
    score: float
    symbols: tuple[Symbol, ...] = ()
    forced: Forced | None = None
    examined_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SpamRequest:
    """What an engine is asked about. spf, dkim, dmarc, arc: our own findings, None and empty where they were not made.

    client_name: what DNS confirms of the client in both directions, None if nothing or not asked.
    trial: it is no mail: the engine shall neither learn from it nor remember it.
    """

    envelope: Envelope
    message: bytes
    spf: SpfResult | None = None
    dkim: Sequence[DkimResult] = ()
    dmarc: DmarcResult | None = None
    arc: ArcResult | None = None
    client_name: str | None = None
    trial: bool = False


class SpamError(Exception):
    """The engine gave no word: nobody may say that the message is no spam. The text is safe to show."""


class SpamEngine(Protocol):
    """An antispam engine."""

    async def judge(self, request: SpamRequest) -> SpamReport:
        """Return the engine's word on a message. Raises SpamError; bound it with `asyncio.timeout`."""

    async def close(self) -> None:
        """End all connections."""
