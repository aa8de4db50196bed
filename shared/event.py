"""Facts in the life of a message or session, for the recorder (PURE).

Output: `Event`, and its JSON form, of which a batch (a JSON array) is one message on `gatepost.events`.
On failure: `decode_events` raises ValueError naming what is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import JsonValue, TypeAdapter

Facts = dict[str, JsonValue]


class Stage(StrEnum):
    """Who saw it happen."""

    EDGE = "edge"
    CONTENT = "content"
    DELIVERY = "delivery"
    CONSOLE = "console"


class EventKind(StrEnum):
    """What happened. Beside each: the facts that it carries."""

    SESSION_REFUSED = "session-refused"  # client, listener, reply, reason
    BANNED = "banned"  # client (an address, or a /64), until, why (a reason), count (how many times by now)
    COMMAND_REFUSED = "command-refused"  # client, listener, helo, command, sender, recipient, reply, reason, login
    RECEIVED = "received"  # client, listener, helo, tls, login, sender, recipients, size_bytes, subject, message_id
    ANSWERED = "answered"  # reply, waited_s, verdict (action or "none: …")
    CHECKED = "checked"  # findings: [{check, result, evidence, input}]
    JUDGED = "judged"  # verdicts: {domain: shared.verdict.verdict_facts}, policy_version, took_ms
    DMARC_SEEN = "dmarc-seen"  # shared.dmarc_seen, for aggregate reports: no part of a trace
    DROPPED = "dropped"  # reason (the sender was told 4xx/5xx and keeps it)
    QUEUED = "queued"  # to: delivery; recipients
    SPLIT = "split"  # into: [{id, hop, recipients}]
    EXPANDED = "expanded"  # recipients: [{from, to, by}]; sender (where it is written anew)
    RETRY = "retry"  # attempts, not_before, reason, hop, failure (its class)
    # hop, peer, tls, outcomes: [{recipient, status, reply}], took_ms, source, security, and where mail is ours to sign
    ATTEMPT = "attempt"  # dkim: {domain, by: [{selector, algorithm}], passed: [{selector, why}], unsigned (why)}
    DELIVERED = "delivered"  # hop, recipients, reply
    FAILED = "failed"  # recipients, reply, reason, bounce (its class)
    ORDERED = "ordered"  # order (retry, cancel, bounce, reroute), by, why, recipients, to (a route)
    DSN_SENT = "dsn-sent"  # dsn_id, action (failed, delayed, delivered…), to
    DSN_WITHHELD = "dsn-withheld"  # reason
    QUARANTINED = "quarantined"  # reason, check, evidence, recipients
    RELEASED = "released"  # by, recipients, rules (that it is let past), again (judged again first)
    DELETED = "deleted"  # by, recipients, days (by the policy, after so long)
    LEARNED = "learned"  # as (ham or spam), by
    HOP = "hop"  # hop, state (shared.hop_state), cause, until: no part of a trace; its id is its own
    TLS_SEEN = "tls-seen"  # shared.tls_seen, for reports on TLS: no part of a trace


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. uid: its own id, by which a second arrival is known. id: of message or session. at: Unix seconds."""

    uid: str
    id: str
    at: float
    stage: Stage
    host: str
    kind: EventKind
    facts: Facts = field(default_factory=dict)


_BATCH = TypeAdapter(list[Event])


def encode_events(events: Sequence[Event]) -> bytes:
    """Return the JSON array of a batch."""
    return _BATCH.dump_json(list(events))


def decode_events(data: bytes) -> list[Event]:
    """Return the events of a batch. Raises ValueError (pydantic's names the place)."""
    return _BATCH.validate_json(data)
