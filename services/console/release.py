"""What a held mail becomes when it is released (PURE).

Owns: which rules a release lets it past, whether what is left still holds it, and the form in which it goes on: to
delivery, marked as content would have done, or to content, as it was received, to be judged again.
Input: the envelope and the bytes as they are held, why they are held, and what the administrator wishes.
On failure: StillHeld, whose text says which rule holds the mail and what to type.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from shared.auth.marks import fields_on_top, with_subject_tag, without_forged_results
from shared.envelope import Envelope, Retry
from shared.verdict import Action, CheckName, Reason, Verdict, without

UNDELIVERABLE = "undeliverable"
STRIPPED = "stripped"
# Content holds the bytes as they were received; what delivery held bears its marks already.
_AS_RECEIVED = frozenset({"quarantine", "refuse", "undecided", STRIPPED})
# With --again: nothing is exempt.
NO_RULE = "none"


class StillHeld(ValueError):
    """A mail that may not go; the text is for the administrator."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the administrator asks for. rules: as he typed them; none: the decisive one of each verdict.

    again: judge it by today's policy first. unexamined: let it go although no check came to a result.
    part: as he typed it, for the commands that are proposed to him.
    """

    who: str
    rules: tuple[str, ...] = ()
    again: bool = False
    unexamined: bool = False
    part: str | None = None


@dataclass(frozen=True, slots=True)
class HeldCopy:
    """A held mail. reason: why it is held, as its note says."""

    envelope: Envelope
    message: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """What is published. rules: what it is let past."""

    envelope: Envelope
    message: bytes
    rules: tuple[str, ...]


def release_all(copies: Sequence[HeldCopy], wish: Wish, now: float, shown: Collection[int] = ()) -> list[Released]:
    """Return the mails as they go on. shown: the policy versions that want X-Gatepost-Verdict. Raises StillHeld."""
    named = _named(copies, wish)
    return [_released(copy, named, wish, now, shown) for copy in copies]


def _released(
    copy: HeldCopy, named: tuple[str, ...] | None, wish: Wish, now: float, shown: Collection[int]
) -> Released:
    # Patience counts from here: a mail that was held for a week would else be given up at the first 4xx.
    envelope = replace(copy.envelope, retry=Retry(), hop=None, received_at=now, bypass=(), released_by="")
    verdict = envelope.verdict
    if verdict is None and not wish.again and not wish.unexamined:
        raise StillHeld(
            f"{envelope.id} was never examined, not even for malware: `{_command(copy, wish)} --again` has it judged, "
            f"and `{_command(copy, wish)} --unexamined` lets it go all the same"
        )
    rules = named if named is not None else _decisive(copy, verdict, wish)
    if wish.again:
        judged_again = replace(envelope, verdict=None, results="", bypass=rules, released_by=wish.who)
        return Released(replace(judged_again, size_bytes=len(copy.message)), copy.message, rules)
    left = without(verdict, rules, wish.who) if verdict else None
    if left is not None and left.action not in (Action.ACCEPT, Action.TAG):
        raise StillHeld(_what_holds(copy, left, rules, wish))
    if left is not None and left.strip:
        raise StillHeld(_what_is_cut(copy, left, rules, wish))
    message = _marked(copy, left, shown)
    return Released(replace(envelope, verdict=left, results="", size_bytes=len(message)), message, rules)


def _marked(copy: HeldCopy, left: Verdict | None, shown: Collection[int]) -> bytes:
    """Return the whole message with what content would have put on top; nothing is taken out of it."""
    results, verdict = copy.envelope.results, left or Verdict(Action.ACCEPT)
    from_delivery = copy.reason not in _AS_RECEIVED and (left is not None or copy.reason == UNDELIVERABLE)
    if from_delivery and not results:
        return copy.message
    # RFC 8601 §2.2: the value begins with our authserv-id.
    clean, _ = without_forged_results(copy.message, results.partition(";")[0].strip() or None)
    if verdict.subject_tag:
        clean = with_subject_tag(clean, verdict.subject_tag)
    show = left is not None and left.policy_version in shown
    return fields_on_top(verdict, results, copy.envelope.id, shown=show) + clean


def _named(copies: Sequence[HeldCopy], wish: Wish) -> tuple[str, ...] | None:
    """Return the keys of the rules that the administrator named, or None if he named none. Raises StillHeld."""
    if not wish.rules:
        return None
    reasons = [reason for copy in copies if copy.envelope.verdict for reason in copy.envelope.verdict.reasons]
    keys = {name: reason.key for reason in reasons for name in (reason.key, reason.rule) if name}
    found = []
    for rule in wish.rules:
        if rule == NO_RULE:
            continue
        key = keys.get(rule)
        # Today's policy may have rules that the old verdict did not.
        if key is None and wish.again and rule.partition(".")[0] in set(CheckName):
            key = rule
        if key is None:
            objecting = dict.fromkeys(reason.key for reason in reasons if reason.action is not Action.ACCEPT)
            known = f"those that objected are {', '.join(objecting)}" if objecting else "no rule objected"
            raise StillHeld(f"the verdict has no rule {rule!r}: {known}")
        found.append(key)
    return tuple(dict.fromkeys(found))


def _decisive(copy: HeldCopy, verdict: Verdict | None, wish: Wish) -> tuple[str, ...]:
    """Return the rule that decided; nothing where no rule holds the mail. Raises StillHeld."""
    if verdict is None or not verdict.reasons:
        return ()
    if copy.reason == STRIPPED:
        taken_out = (one for one in verdict.reasons if one.check is CheckName.ATTACHMENTS and one.action is Action.TAG)
        return tuple(dict.fromkeys(reason.key for reason in taken_out))
    if verdict.action in (Action.ACCEPT, Action.TAG):
        return ()
    decisive = verdict.reasons[0]
    if decisive.rule or decisive.action is not Action.DEFER:
        return (decisive.key,)
    if wish.again:
        return ()
    if not wish.unexamined:
        raise StillHeld(
            f"{copy.envelope.id}: the check {decisive.check.value} never came to a result ({decisive.evidence}), so "
            f"nobody knows what the message is: `{_command(copy, wish)} --again` has it judged now, and "
            f"`{_command(copy, wish)} --rule {decisive.key}` lets it go without that check"
        )
    undone = (reason for reason in verdict.reasons if not reason.rule and reason.action is Action.DEFER)
    return tuple(dict.fromkeys(reason.key for reason in undone))


def _what_holds(copy: HeldCopy, left: Verdict, rules: tuple[str, ...], wish: Wish) -> str:
    holding = [reason for reason in left.reasons if reason.action not in (Action.ACCEPT, Action.TAG)]
    told = "; ".join(f"{reason.key} asks for {reason.action.value} ({_short(reason)})" for reason in holding)
    every = dict.fromkeys([*rules, *(reason.key for reason in holding)])
    options = " ".join(f"--rule {key}" for key in every)
    past = f" past {', '.join(rules)}" if rules else ""
    return (
        f"{copy.envelope.id} stays held: even{past} there is what holds it: {told}. "
        f"To let it past that, too: `{_command(copy, wish)} {options}`"
    )


def _what_is_cut(copy: HeldCopy, left: Verdict, rules: tuple[str, ...], wish: Wish) -> str:
    cutting = [one for one in left.reasons if one.check is CheckName.ATTACHMENTS and one.action is Action.TAG]
    every = dict.fromkeys([*rules, *(reason.key for reason in cutting)])
    options = " ".join(f"--rule {key}" for key in every)
    return (
        f"{copy.envelope.id} stays held: {', '.join(reason.key for reason in cutting)} takes something out of it "
        f"({_short(cutting[0])}), which only content can do: `{_command(copy, wish)} --again` has it judged and cut; "
        f"to let it go whole: `{_command(copy, wish)} {options}`"
    )


def _short(reason: Reason) -> str:
    evidence = reason.evidence.rstrip(". ")
    return evidence if len(evidence) <= 200 else f"{evidence[:200]} …"


def _command(copy: HeldCopy, wish: Wish) -> str:
    part = f" --part {wish.part}" if wish.part else ""
    return f"gatepost quarantine release {copy.envelope.id}{part}"
