"""The secrets with which addresses are written and known again (PURE).

On failure: SettingsError for a secret that could be guessed.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from shared.errors import SettingsError

SHORTEST = 16


class Use(StrEnum):
    """What a proof is for; one of another use proves nothing."""

    SRS0 = "srs0"
    SRS1 = "srs1"
    BATV = "batv"


@dataclass(frozen=True, slots=True, repr=False)
class RewritingKeys:
    """The secrets of edge and delivery: the first makes, all verify, so that one can be replaced.

    Raises SettingsError.
    """

    secrets: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        for place, secret in enumerate(self.secrets, 1):
            if len(secret) < SHORTEST:
                raise SettingsError(f"rewriting_secrets: number {place} has fewer than {SHORTEST} octets")

    def __bool__(self) -> bool:
        return bool(self.secrets)

    def make(self, use: Use, text: str) -> bytes:
        """Return the proof of a text, whatever the case of its letters. There must be a secret."""
        return _proof(self.secrets[0], use, text)

    def all(self, use: Use, text: str) -> Iterable[bytes]:
        """Return the proofs that are taken for a text."""
        return (_proof(secret, use, text) for secret in self.secrets)


def keys_of(texts: Iterable[str]) -> RewritingKeys:
    """Return the keys of the texts in the settings. Raises SettingsError."""
    return RewritingKeys(tuple(text.encode() for text in texts))


def _proof(secret: bytes, use: Use, text: str) -> bytes:
    # Servers on the way back may change the case of a local part.
    return hmac.digest(secret, f"{use.value}\0{text.lower()}".encode("utf-8", "surrogatepass"), sha256)
