"""Events that belong to no trace, as rows of tables of their own (PURE).

Owns: what is told of DMARC and of TLS, for reports to domain owners, and of next hops.
On failure: ValueError naming what is wrong with an event; it is passed over then.
"""

from dataclasses import dataclass, field

from pydantic_core import from_json

from services.console.rows import EventRow, clean, unix_time
from shared import dmarc_seen, tls_seen
from shared.event import EventKind
from shared.hop_state import HopStatus

# uid, day, domain, facts: of what is gathered until it is reported.
SeenRow = tuple[str, int, str, str]
# hop, host, state, cause, until, at.
HopRow = tuple[str, str, str, str, float | None, float]
_HOP_LIMIT = 320
_HOST_LIMIT = 255
_CAUSE_LIMIT = 1000


@dataclass(slots=True)
class Seen:
    """The rows of one transaction."""

    dmarc: list[SeenRow] = field(default_factory=list)
    tls: list[SeenRow] = field(default_factory=list)
    hops: list[HopRow] = field(default_factory=list)

    def take(self, row: EventRow) -> bool:
        """Take an event if it is one of these. Returns whether it is. Raises ValueError."""
        match row.kind:
            case EventKind.DMARC_SEEN:
                self.dmarc.append(_seen_row(row, dmarc_seen.read_seen(row.facts).published.domain))
            case EventKind.TLS_SEEN:
                self.tls.append(_seen_row(row, tls_seen.read_seen(row.facts).domain))
            case EventKind.HOP:
                self.hops.append(_hop_row(row))
            case _:
                return False
        return True


def _seen_row(row: EventRow, domain: str) -> SeenRow:
    if len(domain) > 255:
        raise ValueError(f"{domain[:80]!r} is no domain")
    return row.uid, int(row.at // dmarc_seen.DAY_S), domain, row.facts


def _hop_row(row: EventRow) -> HopRow:
    facts = from_json(row.facts)
    hop, state, cause = facts.get("hop"), facts.get("state"), facts.get("cause") or ""
    if not isinstance(hop, str) or not 0 < len(hop) <= _HOP_LIMIT:
        raise ValueError("an event of a hop without its name")
    until = unix_time(facts.get("until"))
    return clean(hop), row.host[:_HOST_LIMIT], HopStatus(state).value, clean(str(cause))[:_CAUSE_LIMIT], until, row.at
