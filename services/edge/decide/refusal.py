"""Why edge refuses, from a closed list, and what the client is told (PURE)."""

from dataclasses import dataclass
from enum import StrEnum

from shared.reply import Reply


class RefusalReason(StrEnum):
    """The reasons; their values stand in logs, trace and metrics."""

    TOO_MANY_CONNECTIONS = "too-many-connections"
    BROKER_UNAVAILABLE = "broker-unavailable"
    SHUTTING_DOWN = "shutting-down"
    PROXY_HEADER = "proxy-header"
    BAD_LINE = "bad-line"
    TOO_MANY_ERRORS = "too-many-errors"
    TOO_MANY_COMMANDS = "too-many-commands"
    TOO_MANY_AUTH_FAILURES = "too-many-auth-failures"
    TLS_REQUIRED = "tls-required"
    LOGIN_REQUIRED = "login-required"
    LOGIN_FAILED = "login-failed"
    CLIENT_NOT_LISTED = "client-not-listed"
    SENDER_SYNTAX = "sender-syntax"
    SENDER_NOT_OWNED = "sender-not-owned"
    RECIPIENT_SYNTAX = "recipient-syntax"
    RECIPIENT_UNKNOWN = "recipient-unknown"
    RECIPIENT_ROUTED = "recipient-routed"
    RELAY_DENIED = "relay-denied"
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    ENVELOPE_TOO_LARGE = "envelope-too-large"
    MESSAGE_TOO_LARGE = "message-too-large"
    NO_ROOM = "no-room"
    BARE_LINE_END = "bare-cr-or-lf"
    NUL = "nul"
    HOP_COUNT = "hop-count"
    SAME_RECIPIENT_AGAIN = "same-recipient-again"
    # ---- before the greeting
    BANNED = "banned"
    ACCESS_DENIED = "access-denied"
    ACCESS_DEFERRED = "access-deferred"
    TOO_MANY_CONNECTIONS_OF_ADDRESS = "too-many-connections-of-address"
    TOO_MANY_CONNECTIONS_OF_NETWORK = "too-many-connections-of-network"
    EARLY_TALKER = "early-talker"
    NO_NAME = "no-name"
    DNS_LISTED = "dns-listed"
    # ---- how much, how fast
    RATE_EXCEEDED = "rate-exceeded"
    TOO_SLOW = "too-slow"
    CLIENT_RULE = "client-rule"
    # ---- how it speaks
    TOO_MANY_UNKNOWN_COMMANDS = "too-many-unknown-commands"
    TOO_MANY_MESSAGES = "too-many-messages"
    TOO_MANY_REFUSED_RECIPIENTS = "too-many-refused-recipients"
    IMPROPER_PIPELINING = "improper-pipelining"
    LONG_LINE = "long-line"
    XCLIENT = "xclient"
    # ---- who, and to whom
    CERTIFICATE_REQUIRED = "certificate-required"
    FROM_NOT_OWNED = "from-not-owned"
    RECIPIENT_NOT_VERIFIED = "recipient-not-verified"
    GREYLISTED = "greylisted"
    REQUIRETLS_NOT_KEPT = "requiretls-not-kept"
    BOUNCE_NOT_OURS = "bounce-not-ours"
    NOT_A_BOUNCE = "not-a-bounce"
    SRS_INVALID = "srs-invalid"
    SRS_EXPIRED = "srs-expired"
    NO_REWRITING_SECRET = "no-rewriting-secret"


class Manner(StrEnum):
    """How a refused session ends. drop: without a word. tarpit: after it was kept busy for a while."""

    REPLY = "reply"
    DROP = "drop"
    TARPIT = "tarpit"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal. reply: without the id, which the handler adds."""

    reason: RefusalReason
    reply: Reply
    manner: Manner = Manner.REPLY

    def reply_with(self, refusal_id: str) -> Reply:
        """Return the reply that names the id of this refusal."""
        return Reply(self.reply.code, self.reply.enhanced, f"{self.reply.text} [{refusal_id}]")


def refuse(reason: RefusalReason, code: int, enhanced: str, text: str) -> Refusal:
    """Return a refusal."""
    return Refusal(reason, Reply(code, enhanced, text))
