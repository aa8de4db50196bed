"""What the doctor says (PURE)."""

from dataclasses import dataclass

from services.console.doctor.finding import Finding


@dataclass(frozen=True, slots=True)
class Examined:
    """well: whether nothing is wrong; warnings and what was not looked at are no faults."""

    well: bool
    findings: list[Finding]
