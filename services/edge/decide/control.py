"""Client control (PURE): which rules hold, what they count, and what a client is told (shared/policy/clients.py).

Output: `Control`: a refusal at once, or what is to be counted. A count that may not grow any further is answered by
`exceeded`. Messages are counted at MAIL, recipients at RCPT, octets at the end of the message by its real size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.edge.decide.refusal import Refusal, RefusalReason
from shared.policy.client import ClientFacts, network_of
from shared.policy.clients import ClientControl, CountBy
from shared.policy.patterns import comparable
from shared.policy.table import Rate
from shared.reply import Reply
from shared.state.port import Ask

_REFUSED = "Refused by a rule of this server"
_TOO_MUCH = "You send too much in too short a time"
_TOO_LARGE = "The message is too large"


@dataclass(frozen=True, slots=True)
class Who:
    """What rules look at. sender: empty for the null sender."""

    client: ClientFacts
    sender: str


@dataclass(slots=True)
class Control:
    """What rules say. refusal: at once. asks: what is to be counted, each with its rule."""

    refusal: Refusal | None = None
    asks: list[tuple[Ask, ClientControl]] = field(default_factory=list)

    def ask(self, rule: ClientControl, what: str, rate: Rate | None, subject: str | None, amount: int = 1) -> None:
        """Have an amount counted by a rule. subject: None where there is nothing to count by."""
        if rate is not None and subject is not None and amount > 0:
            self.asks.append((Ask(f"rule:{rule.name}:{what}:{subject}", rate, amount), rule))


def control_mail(rules: Iterable[ClientControl], who: Who, declared_size: int) -> Control:
    """Return what holds at MAIL. declared_size: 0 where none was declared."""
    control = Control()
    for rule in rules:
        if rule.is_about_recipients or not rule.fits(who.client, who.sender):
            continue
        if rule.refuse:
            control.refusal = refused(rule)
            break
        if _is_larger(rule, declared_size):
            control.refusal = too_large(rule)
            break
        control.ask(rule, "messages", rule.messages, _subject(rule, who))
    return control


def control_recipient(rules: Iterable[ClientControl], who: Who, recipient: str) -> Control:
    """Return what holds at RCPT."""
    control = Control()
    for rule in rules:
        if not rule.fits_recipient(recipient) or not rule.fits(who.client, who.sender):
            continue
        if rule.refuse and rule.is_about_recipients:
            control.refusal = refused(rule)
            break
        subject = _subject(rule, who, recipient)
        if rule.is_about_recipients:
            control.ask(rule, "messages", rule.messages, subject)
        control.ask(rule, "recipients", rule.recipients_count, subject)
    return control


def control_end(rules: Iterable[ClientControl], who: Who, recipients: Sequence[str], size: int) -> Control:
    """Return what holds at the end of a message. size: its real one."""
    control = Control()
    for rule in rules:
        if rule.octets is None and rule.message_size_bytes is None:
            continue
        # The client first: rules and recipients may be a thousand each.
        if not rule.fits(who.client, who.sender):
            continue
        meant = [recipient for recipient in recipients if rule.fits_recipient(recipient)]
        if not meant:
            continue
        if _is_larger(rule, size):
            control.refusal = too_large(rule)
            break
        for subject in dict.fromkeys(_subject(rule, who, recipient) for recipient in meant):
            control.ask(rule, "octets", rule.octets, subject, size)
    return control


def refused(rule: ClientControl) -> Refusal:
    """Return the refusal of a rule that refuses."""
    return _refusal(rule, temporary=bool(rule.temporary), code=550, text=_REFUSED)


def exceeded(rule: ClientControl, temporary_code: int = 450) -> Refusal:
    """Return the refusal of a rule whose rate is exhausted."""
    return _refusal(
        rule, temporary=rule.temporary is not False, code=550, text=_TOO_MUCH, temporary_code=temporary_code
    )


def too_large(rule: ClientControl) -> Refusal:
    """Return the refusal of a message beyond a rule's size."""
    # RFC 1870 §6.1, §6.3: 552 where the message is larger than the limit. It will be no smaller next time.
    return Refusal(RefusalReason.CLIENT_RULE, Reply(552, "5.3.4", rule.text or _TOO_LARGE))


def _refusal(rule: ClientControl, *, temporary: bool, code: int, text: str, temporary_code: int = 450) -> Refusal:
    reply = Reply(temporary_code, "4.7.1", rule.text or text) if temporary else Reply(code, "5.7.1", rule.text or text)
    return Refusal(RefusalReason.CLIENT_RULE, reply)


def _is_larger(rule: ClientControl, size: int) -> bool:
    return rule.message_size_bytes is not None and size > rule.message_size_bytes


def _subject(rule: ClientControl, who: Who, recipient: str = "") -> str | None:
    match rule.count_by:
        case CountBy.ADDRESS:
            return str(who.client.address)
        case CountBy.NETWORK:
            return str(network_of(who.client.address))
        case CountBy.LOGIN:
            return who.client.login.lower() if who.client.login is not None else None
        case CountBy.SENDER:
            return comparable(who.sender) or "<>"
        case CountBy.RECIPIENT:
            return comparable(recipient)
        case CountBy.RULE:
            return ""
