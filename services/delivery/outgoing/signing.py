"""Owns what signing a message came to, as the trace tells it: by which keys, or why not (PURE).

Input: the keys that signed, and those that were passed over. Output: `Signing`, and its facts, which hold no secrets.
"""

from dataclasses import dataclass
from enum import StrEnum

from services.delivery.outgoing.signing_key import SigningKey
from shared.event import Facts


class Unsigned(StrEnum):
    """Why mail of ours left without a signature."""

    NO_KEYS = "no-keys"  # nobody has made keys for the domain, or none of them is to sign
    AUTHOR = "author"  # From does not name one domain beyond doubt
    HEADER = "header"  # others may read the header otherwise than we do
    UNPUBLISHED = "unpublished"  # DNS says that it has the record of no key that might sign
    NO_ANSWER = "no-answer"  # DNS has not answered for as long as mail waits for that


class Passed(StrEnum):
    """Why a key was passed over; beside these the states of its record in DNS (shared.dkim_keys.RecordState)."""

    NO_ANSWER = "no-answer"
    ENDING = "ending"  # retired, and its record may go soon


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A key that might have signed. why: of `Passed`, or the state of its record. cause: why there is no answer."""

    selector: str
    why: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Signing:
    """What it came to. domain: d=, or whose keys are missing; empty where that was not looked at."""

    domain: str = ""
    keys: tuple[SigningKey, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    unsigned: Unsigned | None = None

    def facts(self) -> Facts:
        """Return the facts for the event: domain, by, passed, unsigned, each where there is one."""
        facts: Facts = {"domain": self.domain} if self.domain else {}
        if self.keys:
            facts["by"] = [{"selector": key.selector, "algorithm": key.algorithm.value} for key in self.keys]
        if self.passed_over:
            facts["passed"] = [{"selector": one.selector, "why": one.why} for one in self.passed_over]
        if self.unsigned is not None:
            facts["unsigned"] = self.unsigned.value
        return facts


@dataclass(frozen=True, slots=True)
class Signed:
    """A message as it leaves. signing: None where it is not ours to sign."""

    message: bytes
    signing: Signing | None = None
