"""Who gets a message in the place of its recipients, and under which sender (PURE).

Owns: putting the recipients of `shared/rewriting/resolve.py` into the envelope, SRS for mail that is sent on, tags
(BATV) on senders of ours. It is done once in a message's life, before it is split by hop.
Output: `Expansion`: one envelope per sender. Most messages have nothing to expand, which is seen at a glance.
Standards: RFC 3461 §5.2.7 (aliases), RFC 6533 §3 (ORCPT), RFC 5321 §3.9.1.
On failure: what needs a secret that the settings do not have waits (`deferred`); a recipient whom nobody knows any more
stays as it is, for the next hop to judge.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from shared.address import Address, AddressError, parse_address
from shared.envelope import Direction, Envelope, Notify, Recipient
from shared.policy import Policy
from shared.policy.aliases import Place
from shared.policy.domain import Batv
from shared.policy.patterns import comparable
from shared.rewriting import batv, srs
from shared.rewriting.keys import RewritingKeys
from shared.rewriting.resolve import Ask, Placed, Unknown, Why, is_plain, resolve

_ORCPT_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Change:
    """A recipient, who gets the mail in its place, and by what: `alias`, `same-as subaddress`."""

    recipient: str
    to: str
    by: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """envelopes: one per sender, in the place of the one that was given; none if all of it waits.

    recipients: what has changed, for the trace. expanded: recipients, as the sender named them, that became several:
    whom a DSN "expanded" tells of where NOTIFY asks for it. deferred: recipients that wait, because of the problem.
    """

    envelopes: tuple[Envelope, ...]
    recipients: tuple[Change, ...] = ()
    expanded: tuple[Recipient, ...] = ()
    deferred: tuple[Recipient, ...] = ()
    problem: str = ""


def expand(envelope: Envelope, policy: Policy, keys: RewritingKeys, now: float) -> Expansion:
    """Return what a message becomes. now: Unix seconds."""
    anew = _anew(envelope, policy)
    # A tag concerns every recipient outside; SRS only those to whom something leads.
    if anew is not _Anew.TAG and all(is_plain(recipient.address, policy) for recipient in envelope.recipients):
        return Expansion((replace(envelope, expanded=True),))
    work = _Work(envelope, policy, keys, now, anew)
    for recipient in envelope.recipients:
        work.take(recipient)
    return work.done()


class _Anew(Enum):
    """How the sender is written for recipients outside."""

    KEPT = auto()
    SRS = auto()
    TAG = auto()


def _anew(envelope: Envelope, policy: Policy) -> _Anew:
    sender = envelope.sender
    if not sender:
        return _Anew.KEPT
    rules = policy.domains.get(sender.rpartition("@")[2].lower())
    if envelope.direction is Direction.OUTBOUND:
        return _Anew.TAG if rules is not None and rules.batv is not Batv.OFF else _Anew.KEPT
    # A sender of ours passes SPF from here as it is.
    return _Anew.SRS if rules is None and policy.forwarding.srs else _Anew.KEPT


@dataclass(slots=True)
class _Work:
    """An expansion that is being made. copies: by sender, each by who gets it. senders: by who gets a copy."""

    envelope: Envelope
    policy: Policy
    keys: RewritingKeys
    now: float
    anew: _Anew
    copies: dict[str, dict[str, Recipient]] = field(default_factory=dict)
    senders: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    expanded: list[Recipient] = field(default_factory=list)
    deferred: list[Recipient] = field(default_factory=list)
    problem: str = ""

    def take(self, recipient: Recipient) -> None:
        """Put those who get the mail in the place of a recipient."""
        try:
            address = parse_address(recipient.address)
        except AddressError:
            # It is none of ours.
            self._add(recipient, self.envelope.sender)
            return
        placed = self._placed(address)
        if placed is None:
            self._defer(recipient, "a recipient in the form of SRS or BATV cannot be read")
        elif not self.keys and any(self._anew_for(place) is not _Anew.KEPT for place in placed.places):
            self._defer(recipient, "the sender is to be written anew (SRS or BATV)")
        elif placed.addresses == (address,):
            self._add(recipient, self._sender_for(placed.places[0]))
        else:
            self._replace(recipient, placed)

    def done(self) -> Expansion:
        """Return the expansion."""
        envelopes = tuple(
            replace(
                self.envelope,
                sender=sender,
                recipients=tuple(recipients.values()),
                # RFC 6531 §3.4: a table may name whom only SMTPUTF8 can.
                smtputf8=self.envelope.smtputf8 or not all(one.address.isascii() for one in recipients.values()),
                expanded=True,
            )
            for sender, recipients in self.copies.items()
        )
        return Expansion(envelopes, tuple(self.changes), tuple(self.expanded), tuple(self.deferred), self.problem)

    def _placed(self, address: Address) -> Placed | None:
        """Return who gets the mail of an address, or None while a secret is wanting."""
        # What edge has taken stays taken, however long the message has been under way: the time is that of receipt.
        null_sender, at = not self.envelope.sender, self.envelope.received_at
        found = resolve(address, self.policy, self.keys, null_sender=null_sender, now=at)
        if isinstance(found, Unknown):
            return None if found.reason is Why.NO_SECRET else Placed((Place(address),))
        return found.placed if isinstance(found, Ask) else found

    def _replace(self, recipient: Recipient, placed: Placed) -> None:
        by, several = " ".join(placed.by), len(placed.places) > 1
        # RFC 3461 §5.2.7.3: of an alias that leads to several the sender is told once, that it was expanded.
        notify = _without_success(recipient.notify) if several else recipient.notify
        if several and Notify.SUCCESS in recipient.notify:
            self.expanded.append(recipient)
        # RFC 3461 §5.2.7.2: what the sender asked for goes on with the new address, and so does the one it knows.
        orcpt = recipient.orcpt or orcpt_of(recipient.address)
        for place in placed.places:
            to = str(place.address)
            self._add(Recipient(to, notify, orcpt), self._sender_for(place))
            self.changes.append(Change(recipient.address, to, by))

    def _add(self, recipient: Recipient, sender: str) -> None:
        # However many ways lead to somebody, it is one copy.
        ours = recipient.domain in self.policy.domains
        key = comparable(recipient.address) if ours else recipient.address
        sender = self.senders.setdefault(key, sender)
        copies = self.copies.setdefault(sender, {})
        other = copies.get(key)
        copies[key] = replace(other, notify=_both(other.notify, recipient.notify)) if other else recipient

    def _defer(self, recipient: Recipient, what: str) -> None:
        self.deferred.append(recipient)
        self.problem = what

    def _anew_for(self, place: Place) -> _Anew:
        if place.address.domain in self.policy.domains:
            return _Anew.KEPT
        # What was meant for others from the start is not sent on by us.
        return _Anew.KEPT if self.anew is _Anew.SRS and not place.of else self.anew

    def _sender_for(self, place: Place) -> str:
        anew = self._anew_for(place)
        if anew is _Anew.KEPT:
            return self.envelope.sender
        try:
            sender = parse_address(self.envelope.sender)
        except AddressError:
            return self.envelope.sender
        forwarding = self.policy.forwarding
        if anew is _Anew.SRS:
            made = srs.forward(sender, forwarding.srs_domain or place.of, self.keys, self.now)
        elif batv.untag(sender, self.keys, self.now, forwarding.bounces_s) is not None:
            made = None
        else:
            made = batv.tag(sender, self.keys, self.now, forwarding.bounces_s)
        # What would be too long stays as it is: better without a sender that bounces find back than not at all.
        return self.envelope.sender if made is None else str(made)


def orcpt_of(address: str) -> str | None:
    """Return the ORCPT that names an address to servers beyond us, or None if it would be too long."""
    # RFC 3461 §4: xtext. RFC 6533 §3: the form of utf-8 that goes without SMTPUTF8, too.
    if address.isascii():
        text = "rfc822;" + "".join(_xtext(sign) for sign in address)
    else:
        text = "utf-8;" + "".join(_embedded(sign) for sign in address)
    return text if len(text) <= _ORCPT_LIMIT else None


def _xtext(sign: str) -> str:
    return sign if "!" <= sign <= "~" and sign not in "+=" else f"+{ord(sign):02X}"


def _embedded(sign: str) -> str:
    return sign if "!" <= sign <= "~" and sign not in "\\+=" else f"\\x{{{ord(sign):X}}}"


def _without_success(notify: tuple[Notify, ...]) -> tuple[Notify, ...]:
    rest = tuple(event for event in notify if event is not Notify.SUCCESS)
    return rest if rest or not notify else (Notify.NEVER,)


def _both(one: tuple[Notify, ...], other: tuple[Notify, ...]) -> tuple[Notify, ...]:
    """Return what is wanted of a copy that stands for two."""
    if one == other:
        return one
    # RFC 3461 §4.1: without NOTIFY, failures are told of, and delays may be.
    wanted = {event for notify in (one, other) for event in notify or (Notify.FAILURE, Notify.DELAY)}
    wanted.discard(Notify.NEVER)
    return tuple(event for event in Notify if event in wanted)
