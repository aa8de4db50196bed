"""Of which kind a failure is (PURE): for the ladder of the next try, and for the sender, figures and trace in the end.

Input: an `Outcome`: the reply that decided it, and whether the hop said it or we did. Output: `FailureClass` of what is
put off, `BounceClass` of what has failed. The tables stand for what large providers and common servers really answer
(tests/unit/services/delivery/test_classify.py shows whose reply each line is for).
Standards: RFC 5321 §4.2.3 (reply codes), RFC 3463 and its registry (enhanced codes), RFC 6647 (greylisting), RFC 7504.
On failure: none; what fits nothing is `other`, and `unknown`.
"""

import re
from collections.abc import Callable
from enum import StrEnum

from services.delivery.greylisting import could_be_greylisting, sounds_like_greylisting
from services.delivery.outcome import Attempt, Outcome, Status, enhanced_of
from shared.reply import Reply


class FailureClass(StrEnum):
    """Why a recipient is put off."""

    CONNECTION = "connection"
    GREYLISTED = "greylisted"
    POLICY = "policy"
    MAILBOX_FULL = "mailbox-full"
    TOO_MANY = "too-many-recipients"
    NETWORK = "network"
    CONTENT = "content"
    OTHER = "other"


class BounceClass(StrEnum):
    """Why a recipient has failed for good."""

    BAD_ADDRESS = "bad-address"
    FULL_MAILBOX = "full-mailbox"
    POLICY = "policy"
    CONTENT = "content"
    NETWORK = "network"
    UNKNOWN = "unknown"


# Only so much of what a hop says is looked at.
_TEXT_LIMIT = 600

_POLICY = re.compile(
    r"spam|reputation|block(?:ed|ing| ?list)|black.?list|deny.?list|denied|polic(?:y|ies)|abus|complain|unsolicited"
    r"|rate.?limit|throttl|suspicious|dmarc|dkim|\bspf\b|\bptr\b|reverse dns|dnsbl|\brbl\b|listed|whitelist"
    r"|not permitted|prohibit|not allowed|unauthenticated|authenticat|relay(?:ing)? (?:access )?denied|relay not|poor"
    r"|volume|too (?:many|much) (?:conn|mess|mail|err|hop|bad)|unusual rate",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(r"too many recipients|recipient limit|many recipients", re.IGNORECASE)
_MAILBOX_FULL = re.compile(
    r"quota|(?:mail)?box (?:is |size )?(?:full|exceed|limit)|full mailbox|(?:exceed\w*|insufficient|over) "
    r"(?!system)(?:\w+ ){0,3}(?:storage|disk)|storage (?:limit|exceeded)|out of (?:storage|space)|maildir full",
    re.IGNORECASE,
)
_BAD_ADDRESS = re.compile(
    r"(?:user|recipient|mailbox|account|address|addressee|alias)\b[^.;]{0,60}?\b(?:unknown|not found|not exist|"
    r"doesn'?t (?:exist|have)|isn'?t|invalid|inactive|disabled|discontinued|deactivated|suspended|unavailable|"
    r"not known|no longer|terminated|not active)"
    r"|(?:no such|unknown|invalid|bad|non-?existent|unrouteable|undeliverable|illegal)\s+(?:local\s+)?(?:user|"
    r"recipient|mailbox|address|account|destination)"
    r"|no (?:mailbox|account|user)|not our customer|does not exist|doesn't exist|not a (?:valid|known) (?:user|mailbox|"
    r"recipient|address)|user lookup",
    re.IGNORECASE,
)
_SENDER = re.compile(
    r"sender (?:address |domain )?(?:rejected|denied|verif|invalid|unknown|not )|domain of sender", re.IGNORECASE
)
_CONTENT = re.compile(
    r"virus|malware|infected|attachment|executable|content|too (?:large|big|long)|size (?:exceeds|limit)|message size"
    r"|exceeds? (?:the )?(?:\w+ ){0,3}size|format|header|mime|bare (?:lf|cr)|8.?bit|not rfc|rfc ?[25]322",
    re.IGNORECASE,
)

# What Exchange Online says of unknown recipients, with the code for a host that does not answer.
_NOBODY = re.compile(r"recipient address rejected", re.IGNORECASE)

# RFC 3463 §3, by subject and detail: those that say enough by themselves.
_BOUNCES = {
    "1.0": BounceClass.BAD_ADDRESS,
    "1.1": BounceClass.BAD_ADDRESS,
    "1.2": BounceClass.BAD_ADDRESS,
    "1.3": BounceClass.BAD_ADDRESS,
    "1.4": BounceClass.BAD_ADDRESS,
    "1.6": BounceClass.BAD_ADDRESS,
    # The sender's own address: its system, or the hop's rules about it.
    "1.7": BounceClass.POLICY,
    "1.8": BounceClass.POLICY,
    # RFC 7505: null MX.
    "1.10": BounceClass.BAD_ADDRESS,
    "2.1": BounceClass.BAD_ADDRESS,
    "2.2": BounceClass.FULL_MAILBOX,
    "2.3": BounceClass.CONTENT,
    "3.3": BounceClass.CONTENT,
    "3.4": BounceClass.CONTENT,
    "3.2": BounceClass.NETWORK,
    "3.5": BounceClass.NETWORK,
    "7.26": BounceClass.POLICY,
}
# What says too little is told by its words first; then the subject alone decides.
_BY_SUBJECT = {
    "1": BounceClass.BAD_ADDRESS,
    "4": BounceClass.NETWORK,
    "6": BounceClass.CONTENT,
    "7": BounceClass.POLICY,
}
# RFC 5321 §4.2.3, RFC 7504, RFC 4954 §6: where there is no enhanced code.
_BY_CODE = {
    421: BounceClass.NETWORK,
    521: BounceClass.BAD_ADDRESS,
    523: BounceClass.CONTENT,
    530: BounceClass.POLICY,
    535: BounceClass.POLICY,
    551: BounceClass.BAD_ADDRESS,
    552: BounceClass.FULL_MAILBOX,
    553: BounceClass.BAD_ADDRESS,
    556: BounceClass.BAD_ADDRESS,
}
_WORDS: tuple[tuple[Callable[[str], object], BounceClass], ...] = (
    (_SENDER.search, BounceClass.POLICY),
    (_MAILBOX_FULL.search, BounceClass.FULL_MAILBOX),
    (_BAD_ADDRESS.search, BounceClass.BAD_ADDRESS),
    (_POLICY.search, BounceClass.POLICY),
    (_CONTENT.search, BounceClass.CONTENT),
    (sounds_like_greylisting, BounceClass.POLICY),
)
# Enhanced codes that large providers give to everything, so that the words tell more.
_VAGUE = frozenset({"", "0.0", "2.0", "2.1", "3.0", "3.2", "4.0", "4.1", "4.2", "4.5", "5.0", "5.3"})
# RFC 3463: network codes whose meaning no wording changes.
_PLAIN = frozenset({"4.3", "4.4", "4.6", "4.7"})


def failure_class(outcome: Outcome, attempt: Attempt) -> FailureClass:
    """Return why a deferred recipient is put off. attempt: whose outcome it is."""
    reply = outcome.reply
    detail, text = reply.enhanced[2:], reply.text[:_TEXT_LIMIT]
    if not outcome.remote:
        return _own(detail)
    if attempt.hop_failed is None and _is_greylisting(reply, detail, text):
        return FailureClass.GREYLISTED
    if _is_too_many(reply, detail, text):
        taken = any(other.status is Status.DELIVERED for other in attempt.outcomes)
        return FailureClass.TOO_MANY if taken else FailureClass.OTHER
    if detail == "2.2" or (detail in ("", "0.0", "2.0", "2.1") and _MAILBOX_FULL.search(text)):
        return FailureClass.MAILBOX_FULL
    if detail.startswith("7.") or (detail in _VAGUE and _POLICY.search(text)):
        return FailureClass.POLICY
    if attempt.hop_failed is not None or (reply.code == 421 and detail in ("", "0.0", "3.0", "3.2", "4.2")):
        return FailureClass.CONNECTION
    if detail.startswith("4."):
        return FailureClass.NETWORK
    return FailureClass.CONTENT if detail.startswith("6.") else FailureClass.OTHER


def bounce_class(outcome: Outcome) -> BounceClass:
    """Return why a failed recipient has failed; also where a put-off one was given up."""
    reply = outcome.reply
    _, subject, detail = enhanced_of(outcome).split(".")
    code = f"{subject}.{detail}"
    if code in _BOUNCES:
        return _BOUNCES[code]
    if code == "4.1" and outcome.remote and _NOBODY.search(reply.text[:_TEXT_LIMIT]):
        return BounceClass.BAD_ADDRESS
    if outcome.remote and code not in _PLAIN:
        for says, bounce in _WORDS:
            if says(reply.text[:_TEXT_LIMIT]):
                return bounce
    if subject in _BY_SUBJECT:
        return _BY_SUBJECT[subject]
    return _BY_CODE.get(reply.code, BounceClass.UNKNOWN) if not reply.enhanced else BounceClass.UNKNOWN


def is_too_large(outcome: Outcome) -> bool:
    """Whether a failed recipient's hop, or his mailbox, takes no message of this size; a shorter one may do."""
    # RFC 1870 §6.1: 552, by RFC 3463 §3.3 and §3.4 with x.2.3 or x.3.4; a bare 552 may mean a full mailbox as well.
    reply = outcome.reply
    return reply.permanent and (reply.enhanced[2:] in ("2.3", "3.4") or (reply.code, reply.enhanced) == (552, ""))


def _own(detail: str) -> FailureClass:
    """Return the class of what we said ourselves, for want of a reply."""
    if detail == "4.3":
        return FailureClass.NETWORK
    if detail.startswith("7."):
        # No login, no TLS as demanded: somebody has to mend something.
        return FailureClass.POLICY
    # 4.3.0 is a fault of ours, 4.2.x a Maildir's.
    return FailureClass.CONNECTION if detail.startswith("4.") or detail == "3.2" else FailureClass.OTHER


def _is_greylisting(reply: Reply, detail: str, text: str) -> bool:
    if sounds_like_greylisting(text):
        return True
    # RFC 6647 §2: a temporary reply to somebody unknown. These two codes are those that are used for it.
    if reply.code not in (450, 451) or detail not in ("", "7.0", "7.1", "3.2"):
        return False
    return could_be_greylisting(text) and _POLICY.search(text) is None


def _is_too_many(reply: Reply, detail: str, text: str) -> bool:
    # RFC 5321 §4.5.3.1.10: 452 (552 of old), with 4.5.3 by RFC 3463 §3.6.
    return reply.code in (452, 552, 451, 450) and (
        detail == "5.3" or (detail in _VAGUE and bool(_TOO_MANY.search(text)))
    )
