"""What a message would meet (PURE)."""

from dataclasses import dataclass

from services.console.simulate import Step


@dataclass(frozen=True, slots=True)
class Simulated:
    """What it would meet. version: of the policy, None for a draft. ends_at: the step that refuses it, if one does."""

    version: int | None
    steps: tuple[Step, ...]
    ends_at: Step | None
    not_told: tuple[str, ...]
