"""Who reports, and about which day (PURE)."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from shared.dmarc_seen import DAY_S


class ReportRules(Protocol):
    """What the policy says of reports, of either kind. sender: empty for an address of our own host."""

    @property
    def sender(self) -> str:
        """From and MAIL FROM."""

    @property
    def organization(self) -> str:
        """Who we are; empty for the name of our host."""

    @property
    def contact(self) -> str:
        """Whom to write to; empty for the sender."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports. begin, end: Unix seconds, the first and the last of the day."""

    hostname: str
    organization: str
    email: str
    contact: str
    report_id: str
    begin: int
    end: int


def reporter(rules: ReportRules, hostname: str, mailbox: str, day: int, *subject: object) -> Reporter:
    """Return who reports about a day. mailbox: ours, where the policy names no sender. subject: of the report."""
    text = " ".join(map(str, (hostname, *subject)))
    return Reporter(
        hostname=hostname,
        organization=rules.organization or hostname,
        email=rules.sender or f"{mailbox}@{hostname}",
        contact=rules.contact,
        # The same report sent again is known by its id.
        report_id=hashlib.sha256(text.encode()).hexdigest()[:32],
        begin=day * DAY_S,
        end=(day + 1) * DAY_S - 1,
    )
