"""What became of each recipient in one attempt (PURE).

Input: the hop's replies. Output: `Outcome` per recipient: delivered, deferred or failed, with the reply that says so.
Standards: RFC 5321 §4.2.1 (what the classes mean), §4.5.3.1.10 (552 to RCPT), RFC 3463 (status codes).
On failure: what cannot be told for sure is deferred.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.delivery.outgoing.signing import Signing
from shared.envelope import Recipient
from shared.reply import Reply


class Status(StrEnum):
    """The three ways in which an attempt can end for a recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipient's. remote: whether the hop said the reply, or we did for want of one."""

    recipient: Recipient
    status: Status
    reply: Reply
    remote: bool = True


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one hop. peer: who answered, empty if nobody did. relays_dsn: the hop reports successes itself.

    is_kept_back: what the message asks for (REQUIRETLS) keeps it from this hop. source: our address there, where the
    policy chose it. security: what the session's TLS is worth, in one word.
    final: a mailbox took it, and not one more relay. hop_failed: why the hop itself is to be left alone, if it is.
    signing: whether it was signed, of what was said to a host and is ours to sign.
    """

    outcomes: tuple[Outcome, ...]
    peer: str = ""
    tls: str | None = None
    relays_dsn: bool = False
    final: bool = False
    hop_failed: str | None = None
    source: str = ""
    security: str = ""
    is_kept_back: bool = False
    signing: Signing | None = None


def status_of(reply: Reply) -> Status:
    """Return what a reply means for a message. Anything but 2xx and 5xx is temporary."""
    if reply.positive:
        return Status.DELIVERED
    return Status.FAILED if reply.permanent else Status.DEFERRED


def outcome_of(recipient: Recipient, reply: Reply, *, remote: bool = True) -> Outcome:
    """Return a recipient's outcome by the reply that decides it."""
    return Outcome(recipient, status_of(reply), reply, remote)


def same_for_all(recipients: Sequence[Recipient], reply: Reply, *, remote: bool = False) -> tuple[Outcome, ...]:
    """Return one reply as everybody's outcome."""
    return tuple(outcome_of(recipient, reply, remote=remote) for recipient in recipients)


def rcpt_outcome(recipient: Recipient, reply: Reply, *, others_taken: bool) -> Outcome:
    """Return the outcome of a refused RCPT. others_taken: whether the hop took a recipient of the same transaction."""
    # RFC 5321 §4.5.3.1.10: 552 for "too many recipients" is to be treated as 452; the next attempt has fewer.
    if reply.code == 552 and others_taken and reply.enhanced in ("", "5.5.3"):
        return Outcome(recipient, Status.DEFERRED, reply)
    outcome = outcome_of(recipient, reply)
    if outcome.status is Status.DELIVERED:
        raise ValueError(f"RCPT was not refused: {reply}")
    return outcome


def enhanced_of(outcome: Outcome) -> str:
    """Return the enhanced status code of an outcome, class 5 once it is final (RFC 3464 §2.3.4)."""
    # RFC 3463 §2: X.0.0 where nothing more is known.
    code = outcome.reply.enhanced or f"{str(outcome.reply.code)[0]}.0.0"
    if outcome.status is Status.FAILED and code[0] == "4":
        return f"5{code[1:]}"
    # A 3xx where none may be, or a 552 that counts as 452.
    return f"4{code[1:]}" if outcome.status is Status.DEFERRED else code
