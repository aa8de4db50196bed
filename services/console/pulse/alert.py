"""Something that needs somebody's hand (PURE)."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is. critical: mail is held up or will be within the hour. warning: it runs, and will not for ever.
    notice: somebody should know.
    """

    CRITICAL = "critical"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing. key: the same for the same thing at another time. mend: what to do. link: of the console, or empty.

    since: Unix seconds, when this console first saw it, or when it began where that is known.
    """

    severity: Severity
    key: str
    text: str
    mend: str
    link: str = ""
    since: float | None = None
