"""The check `antivirus`: what the antivirus engines say of the message (I/O through the engines).

On failure: unsure, so the message is deferred; it never counts as clean.
"""

from typing import Protocol, assert_never

from services.content.engines.scan import Clean, Encrypted, EngineError, Exceeded, Infected, ScanResult
from services.content.finding import Finding, unsure
from shared.verdict import CheckName

_FALSE_ALARM = "or a correction of its signatures by the engine's maker where this is a false alarm"


class Engine(Protocol):
    """An antivirus engine, or several."""

    async def scan(self, data: bytes) -> ScanResult:
        """Return what the engine says of a message. Raises EngineError."""


async def check_antivirus(engine: Engine, message: bytes) -> Finding:
    """Return the engines' word as a finding."""
    examined = f"the message, {len(message)} octets"
    try:
        result = await engine.scan(message)
    except EngineError as error:
        return unsure(CheckName.ANTIVIRUS, "error", f"The antivirus engine gave no answer: {error}.")
    match result:
        case Clean(name):
            return Finding(CheckName.ANTIVIRUS, "clean", f"{name} found nothing.", input=examined)
        case Infected(name, signature):
            word, evidence = "infected", f"{name} found {signature}."
            change = f"the message without what {name} calls {signature}, {_FALSE_ALARM}"
        case Encrypted(name, signature):
            word, evidence = "encrypted", f"{name} could not look into a part that is locked ({signature})."
            change = "archives and documents that open without a password"
        case Exceeded(name, signature):
            word, evidence = "exceeded", f"{name} did not look at all of it: it goes beyond a limit ({signature})."
            change = "a message with smaller parts, or fewer of them, or with fewer archives inside archives"
        case _:
            assert_never(result)
    return Finding(CheckName.ANTIVIRUS, word, evidence, rule=word, input=examined, change=change)
