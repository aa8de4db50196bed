"""What one finding comes to for one domain (PURE)."""

from dataclasses import dataclass

from shared.verdict import Reason


@dataclass(frozen=True, slots=True)
class Weighed:
    """A reason, and what its action wants besides: MIME parts to take out, text to put before the subject."""

    reason: Reason
    strip: tuple[str, ...] = ()
    subject_tag: str = ""
