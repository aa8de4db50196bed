"""What a message would meet (PURE)."""

from dataclasses import dataclass

from pydantic import JsonValue

from services.console.simulate import Step


@dataclass(frozen=True, slots=True)
class Judged:
    """What content makes of a message. lets_through: for all recipients. reply: what the client would be told.

    in_short, verdict, seen: sentences: what decided, the whole verdict, what each check saw. findings, verdicts: the
    same as the events of a trace have it, verdicts by recipient domain.
    """

    policy_version: int
    took_ms: float
    lets_through: bool
    reply: str
    in_short: tuple[str, ...]
    verdict: tuple[str, ...]
    seen: tuple[str, ...]
    findings: tuple[dict[str, JsonValue], ...]
    verdicts: dict[str, dict[str, JsonValue]]


@dataclass(frozen=True, slots=True)
class Simulated:
    """What it would meet. version: of the policy, None for a draft. ends_at: the step that refuses it, if one does.

    judged: by content, where the message itself was handed in.
    """

    version: int | None
    steps: tuple[Step, ...]
    ends_at: Step | None
    not_told: tuple[str, ...]
    judged: Judged | None = None
