"""Events as they are written (PURE)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An event and what it says, in a sentence."""

    uid: str
    id: str
    at: float
    stage: str
    host: str
    kind: str
    text: str
    facts: Mapping[str, object]
