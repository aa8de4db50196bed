"""What an antivirus engine says of a message (PURE).

Owns: `ScanResult` and how a signature's name is read.
On failure: EngineError, for whatever is not the engine's explicit word; it never counts as clean.
"""

from dataclasses import dataclass

# ClamAV's names for what it could not look into; a second engine may be ClamAV behind another protocol.
_ENCRYPTED = "Heuristics.Encrypted."
_EXCEEDED = "Heuristics.Limits.Exceeded"


class EngineError(Exception):
    """The engine gave no verdict: nobody may say that the message is clean."""


@dataclass(frozen=True, slots=True)
class Clean:
    """The engine looked at all of it and found nothing. engine: its name, for people."""

    engine: str


@dataclass(frozen=True, slots=True)
class Infected:
    """The engine found malware. signature: its name for it."""

    engine: str
    signature: str


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A part is locked with a password, so that the engine could not look into it."""

    engine: str
    signature: str


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The message goes beyond the engine's limits, so that it did not look at all of it. signature: which limit."""

    engine: str
    signature: str


ScanResult = Clean | Infected | Encrypted | Exceeded


def found(engine: str, signature: str) -> Infected | Encrypted | Exceeded:
    """Return what it means that an engine found a signature."""
    if signature.startswith(_ENCRYPTED):
        return Encrypted(engine, signature)
    if signature.startswith(_EXCEEDED):
        return Exceeded(engine, signature)
    return Infected(engine, signature)


def gravest(results: list[ScanResult]) -> ScanResult:
    """Return the result that counts where several engines were asked; clean only if all of them say so."""
    for kind in (Infected, Exceeded, Encrypted):
        for result in results:
            if isinstance(result, kind):
                return result
    return Clean(" and ".join(result.engine for result in results))
