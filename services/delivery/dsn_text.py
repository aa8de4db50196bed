"""What a delivery status notification says to a person (PURE).

Output: plain text in CRLF lines: what happened, to whom, in the next hop's own words, and what the sender can do.
"""

import re
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from textwrap import wrap

from services.delivery.classify import BounceClass, bounce_class
from services.delivery.dsn_address import field_text, original_address
from services.delivery.outcome import Outcome, enhanced_of
from services.delivery.plan import Action, Notice
from shared.reply import Reply

SUBJECTS = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was handed on",
    Action.EXPANDED: "Your message was handed on to several addresses",
}

_OPENINGS = {
    Action.FAILED: "Your message could not be delivered to the recipients below, and it will not be tried again.",
    Action.DELAYED: "Your message could not be delivered yet to the recipients below. You need not send it again.",
    Action.DELIVERED: "Your message was delivered to the recipients below, as you asked to be told.",
    Action.RELAYED: "Your message was handed to a mail server that sends no such reports, so this is the last one.",
    Action.EXPANDED: "Your message was taken for each of the addresses behind the recipients below. No report on each "
    "of them follows.",
}

_HAPPENED = {
    BounceClass.BAD_ADDRESS: "There is no mailbox for this address.",
    BounceClass.FULL_MAILBOX: "The mailbox is full.",
    BounceClass.POLICY: "The recipient's mail server refused it by its rules.",
    BounceClass.CONTENT: "The recipient's mail server does not take a message of this size, form or content.",
    BounceClass.NETWORK: "No way to the recipient's mail server was found.",
    BounceClass.UNKNOWN: "The recipient's mail server did not take it.",
}
# By subject and detail of the enhanced status code, RFC 3463 §3, where it says more than the class.
_ADVICE = {
    "1.2": "Check the domain of the address; no mail server was found for it.",
    "1.3": "Check the address; its form is not valid.",
    "1.7": "Check your own address: the recipient's mail server does not take it as a sender.",
    "1.8": "Have your postmaster check the domain of your own address: the recipient's mail server cannot find it.",
    "1.10": "This domain does not take mail at all; ask the recipient for another address.",
    "2.1": "The mailbox is switched off; ask the recipient for another address.",
    "2.3": "The message is too large for the mailbox; send a smaller one, or a link to the file.",
    "3.4": "The message is too large for the recipient's server; send a smaller one, or a link to the file.",
    "4.6": "Mail for this domain runs in a circle; tell your postmaster.",
    "6.7": "The recipient's server takes no addresses or headers beyond ASCII; write to a plain address.",
    "7.30": "The message asks for a protected way (REQUIRETLS) that does not exist to the recipient's server.",
}
_ADVICE_BY_CLASS = {
    BounceClass.BAD_ADDRESS: "Check the spelling of the address, or ask the recipient for the right one.",
    BounceClass.FULL_MAILBOX: "Tell the recipient by another way, and send the message again later.",
    BounceClass.POLICY: "The words above say why; if they speak of this mail system, show them to your postmaster.",
    BounceClass.CONTENT: "Send it in another form: smaller, without the attachment, or with a link in its place.",
    BounceClass.NETWORK: "The recipient's mail server could not be reached; try again later, or tell the recipient by "
    "another way.",
    BounceClass.UNKNOWN: "The words above are the only reason known; the postmaster of the recipient can tell more.",
}
# Addresses, logins and files of this network, why somebody holds mail back, and who, stand in the trace alone.
_OWN_WORDS = {
    "4.3.2": "The next mail server refuses this gateway",
    "4.4.1": "No connection to the next mail server",
    "4.4.2": "The connection to the next mail server was lost",
    "4.4.3": "DNS does not answer for the next mail server",
    "4.4.7": "The next mail server could not be reached in time",
}
# RFC 7504 §4: a domain that takes no mail.
_NO_MAIL = 556
_SUBJECT_LIMIT = 200
_WIDTH = 76
# RFC 5322 §2.1.1: 998 octets, of which a character takes four at most.
_LONG_WORD = re.compile(r"\S{240}")
_DAY_S, _HOUR_S = 86_400, 3600


@dataclass(frozen=True, slots=True)
class Told:
    """The message that it is about. accepted: a date. lifetime_s: for how long it is tried."""

    id: str
    subject: str
    accepted: str
    lifetime_s: float


def explanation(notice: Notice, about: Told, our_name: str) -> str:
    """Return the text."""
    lines = [f"This is the mail gateway {our_name}.", "", _OPENINGS[notice.action], ""]
    lines += [f"Subject: {about.subject}"] if about.subject else []
    lines += [f"Accepted: {about.accepted}", ""]
    for outcome in notice.outcomes:
        lines += _about(notice, outcome, about.lifetime_s)
    if notice.action is Action.DELAYED:
        lines += [
            f"It is tried again by itself, for {_span(about.lifetime_s)} in all. If that fails, you are told.",
            "",
        ]
    lines += [f"If you ask your postmaster about it, name this id: {about.id}"]
    return "".join(f"{line}\r\n" for long in lines for line in _wrapped(long))


def advice(outcome: Outcome) -> str:
    """Return one sentence on what a sender can do about a failure."""
    # RFC 3463 §3; the code that says more than the class goes first.
    detail = enhanced_of(outcome)[2:]
    if detail == "1.10" and outcome.reply.code != _NO_MAIL:
        # Exchange Online gives the code of a null MX to unknown recipients, too.
        detail = "1.1"
    return _ADVICE.get(detail) or _ADVICE_BY_CLASS[bounce_class(outcome)]


def subject_of(header: bytes) -> str:
    """Return the decoded subject, bounded; empty if there is none."""
    lines = (b"\r\n" + header).replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n")
    raw = next((line[8:].strip() for line in lines if line[:8].lower() == b"subject:"), b"")
    text = raw[: 4 * _SUBJECT_LIMIT].decode("utf-8", "replace")
    try:
        text = str(make_header(decode_header(text)))
    except (MessageError, ValueError, LookupError):  # an encoded word that is none, or a charset that nobody knows
        pass
    text = field_text(text)
    return text if len(text) <= _SUBJECT_LIMIT else text[:_SUBJECT_LIMIT] + "…"


def _about(notice: Notice, outcome: Outcome, lifetime_s: float) -> list[str]:
    original = original_address(outcome.recipient.orcpt or "")
    address = field_text(outcome.recipient.address)
    # An alias led there: the sender may never have seen the address itself.
    wrote = f" (you wrote to {original})" if original and original.lower() != address.lower() else ""
    lines = [f"<{address}>{wrote}"]
    if notice.action is Action.FAILED:
        tried = f" It was tried again for {_span(lifetime_s)}." if outcome.reply.temporary else ""
        lines += [f"  What happened: {_HAPPENED[bounce_class(outcome)]}{tried}"]
    if notice.action in (Action.FAILED, Action.DELAYED):
        lines += [f"  {_speaker(notice, outcome)}: {_words(outcome)}"]
    if notice.action is Action.FAILED:
        lines += [f"  What you can do: {advice(outcome)}"]
    return [*lines, ""]


def _words(outcome: Outcome) -> str:
    """Return the reply as the sender may read it: our own words on what is put off are for administrators alone."""
    reply = outcome.reply
    if outcome.remote or reply.permanent:
        return str(reply)
    return str(Reply(reply.code, reply.enhanced, _OWN_WORDS.get(reply.enhanced, "A local error in processing")))


def _speaker(notice: Notice, outcome: Outcome) -> str:
    if not outcome.remote:
        return "The reason"
    host = host_of(notice.peer)
    return f"The mail server {host} said" if host else "The next mail server said"


def host_of(peer: str) -> str:
    """Return the name in `name [address]:port`, else the address; empty for a socket's path, and for none."""
    if "[" not in peer:
        return ""
    name, _, rest = peer.partition("[")
    return name.strip() or f"[{rest.partition(']')[0]}]"


def _wrapped(line: str) -> list[str]:
    """Return a line as several that people can read; one word stays one, up to what RFC 5322 §2.1.1 allows a line."""
    indent = " " * (len(line) - len(line.lstrip()))
    spaced = _LONG_WORD.sub(r"\g<0> ", line)
    return wrap(spaced, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]


def _span(seconds: float) -> str:
    unit_s, unit = (_DAY_S, "day") if seconds >= 2 * _DAY_S else (_HOUR_S, "hour")
    count = max(1, round(seconds / unit_s))
    return f"{count} {unit}{'' if count == 1 else 's'}"
