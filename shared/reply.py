"""SMTP replies (PURE).

Output: `Reply`, a code with its enhanced status code and text, that can neither break its line nor lie about its class.
Standards: RFC 5321 §4.2, RFC 2034, RFC 3463.
On failure: ValueError for a code or enhanced code that no SMTP reply may have.
"""

import re
from dataclasses import dataclass

_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\Z")
_UNSAFE = re.compile(r"[^\x20-\x7e]+")
_LINE_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP answer. enhanced: `2.0.0`, or empty where the standard has none (220, 250 to EHLO, 334, 354)."""

    code: int
    enhanced: str
    text: str

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"not an SMTP reply code: {self.code}")
        # RFC 2034 §3: the class of the enhanced code is the first digit of the reply code.
        if self.enhanced and (not _ENHANCED.match(self.enhanced) or self.enhanced[0] != str(self.code)[0]):
            raise ValueError(f"enhanced code {self.enhanced!r} does not fit reply {self.code}")

    @property
    def positive(self) -> bool:
        """Whether the command was taken (2xx)."""
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        """Whether the client should try again (4xx)."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """Whether the client should give up (5xx)."""
        return self.code >= 500

    def __str__(self) -> str:
        enhanced = f"{self.enhanced} " if self.enhanced else ""
        # RFC 5321 §4.5.3.1.5: a reply line has 512 octets at most, CRLF included; and text never breaks it.
        return f"{self.code} {enhanced}{_UNSAFE.sub(' ', self.text)}"[: _LINE_LIMIT - 2]
