"""What a delivery status notification says to a person (PURE).

Output: plain text in CRLF lines: what happened, to whom, in the next hop's own words, and what the sender can do.
"""

from services.delivery.outcome import Outcome, enhanced_of
from services.delivery.plan import Action
from shared.envelope import Envelope

SUBJECTS = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was handed on",
}

_OPENINGS = {
    Action.FAILED: "Your message could not be delivered to the recipients below, and it will not be tried again.",
    Action.DELAYED: "Your message could not be delivered yet to the recipients below. You need not send it again.",
    Action.DELIVERED: "Your message was delivered to the recipients below, as you asked to be told.",
    Action.RELAYED: "Your message was handed to a mail server that sends no such reports, so this is the last one.",
}

# By the detail of the enhanced status code, RFC 3463 §3; the longest that fits is taken.
_ADVICE = {
    "1.1": "Check the spelling of the address; the mailbox does not exist.",
    "1.2": "Check the domain of the address; no mail server was found for it.",
    "1.3": "Check the address; its form is not valid.",
    "1.10": "This domain does not take mail at all; ask the recipient for another address.",
    "2.1": "The mailbox is switched off; ask the recipient for another address.",
    "2.2": "The mailbox is full; tell the recipient by another way, and send the message again later.",
    "2.3": "The message is too large for the mailbox; send a smaller one, or a link to the file.",
    "3.4": "The message is too large for the recipient's server; send a smaller one, or a link to the file.",
    "4.6": "Mail for this domain runs in a circle; tell your postmaster.",
    "4": "The recipient's mail server could not be reached; try again later, or tell the recipient by another way.",
    "6.7": "The recipient's server takes no addresses or headers beyond ASCII; write to a plain address.",
    "7.30": "The message asks for a protected way (REQUIRETLS) that does not exist to the recipient's server.",
    "7": "The recipient's server refused the message by its rules; its words above say why.",
}
_GENERAL = "The words above are those of the recipient's mail server; its postmaster can tell more."


def explanation(action: Action, envelope: Envelope, outcomes: tuple[Outcome, ...], our_name: str, until: str) -> str:
    """Return the text. until: the date until which delivery is tried, for a delay."""
    parts = [f"This is the mail gateway {our_name}.", "", _OPENINGS[action], ""]
    for outcome in outcomes:
        parts += _about(action, outcome)
    if action is Action.DELAYED:
        parts += [f"Delivery is tried again until {until}.", ""]
    parts += [
        f"If you ask your postmaster about it, name this id: {envelope.id}",
        "",
    ]
    return "\r\n".join(parts)


def _about(action: Action, outcome: Outcome) -> list[str]:
    lines = [f"<{outcome.recipient.address}>"]
    if action in (Action.FAILED, Action.DELAYED):
        said = "The next mail server said" if outcome.remote else "The reason"
        lines += [f"  {said}: {outcome.reply}"]
    if action is Action.FAILED:
        lines += [f"  What you can do: {advice(enhanced_of(outcome))}"]
    return [*lines, ""]


def advice(enhanced: str) -> str:
    """Return one sentence on what a sender can do about a failure with this status code."""
    _, subject, detail = enhanced.split(".")
    return _ADVICE.get(f"{subject}.{detail}") or _ADVICE.get(subject) or _GENERAL
