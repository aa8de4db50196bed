"""The check `antivirus`: what clamd says of the message (I/O through the engine).

On failure: unsure, so the message is deferred; it never counts as clean.
"""

from typing import Protocol, assert_never

from services.content.engines.clamd import Clean, EngineError, Infected, ScanResult
from services.content.finding import Finding, unsure
from shared.verdict import CheckName


class Engine(Protocol):
    """An antivirus engine."""

    async def scan(self, data: bytes) -> ScanResult:
        """Return what the engine says of a message. Raises EngineError."""


async def check_antivirus(engine: Engine, message: bytes) -> Finding:
    """Return clamd's word as a finding."""
    try:
        result = await engine.scan(message)
    except EngineError as error:
        return unsure(CheckName.ANTIVIRUS, "error", f"The antivirus engine gave no answer: {error}.")
    match result:
        case Clean():
            return Finding(CheckName.ANTIVIRUS, "clean", "ClamAV found nothing.")
        case Infected(signature):
            return Finding(CheckName.ANTIVIRUS, "infected", f"ClamAV found {signature}.", rule="infected")
        case _:
            assert_never(result)
