"""Access rules, as an administrator sees and changes them in the policy in force (I/O: SQL, broker).

A change is an edit of the policy document, comments kept, and makes a new version of it like `gatepost policy apply`;
places count from 1, as refusals name them.
On failure: ActionError, PolicyError (the document would not be usable, so nothing changes).
"""

from collections.abc import Callable
from dataclasses import dataclass

from services.console.access_text import rule_in_words
from services.console.actions.desk import ActionError, Desk
from services.console.actions.policies import Applied, Now, apply_policy, policy_now
from services.console.document_edit import with_item, with_item_moved, without_item
from services.console.domain_edit import EditError, Value
from services.console.versions import difference_of
from shared.policy import parse_policy
from shared.policy.access import AccessRule

_KEY = "access"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. place: from 1. words: what it says, in a line. listener: whose own it is, empty for a global one."""

    place: int
    words: str
    rule: AccessRule
    listener: str = ""


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The rules in the order in which they are read: a listener's own first, then the global ones."""

    version: int
    rules: tuple[Rule, ...]
    of_listeners: tuple[Rule, ...] = ()


Edit = Callable[[str], str]


def rules_of(now: Now) -> AccessRules:
    """Return the rules of the policy in force (PURE)."""
    policy = now.entry.policy()
    own = [
        Rule(place, rule_in_words(rule), rule, name)
        for name, listener in policy.listeners.items()
        for place, rule in enumerate(listener.access, 1)
    ]
    rules = tuple(Rule(place, rule_in_words(rule), rule) for place, rule in enumerate(policy.access, 1))
    return AccessRules(now.entry.version, rules, tuple(own))


async def access_rules(desk: Desk) -> AccessRules:
    """Return the rules in force. Raises ActionError."""
    return rules_of(await in_force_now(desk))


async def in_force_now(desk: Desk) -> Now:
    """Return the policy in force. Raises ActionError."""
    now = await policy_now(desk)
    if now is None:
        raise ActionError('no policy is in force: gatepost policy apply FILE --reason "…"')
    return now


def add(rule: AccessRule, place: int | None, note: str) -> Edit:
    """Return the edit that puts a rule at a place, None for the last. note: a comment above it."""
    table: dict[str, Value] = rule.model_dump(mode="json", exclude_defaults=True)
    table = {"action": rule.action.value} | table
    return lambda text: with_item(text, _KEY, table, 10_000 if place is None else place - 1, note)


def remove(place: int) -> Edit:
    """Return the edit that takes a rule out."""
    return lambda text: without_item(text, _KEY, place - 1)


def move(place: int, to: int) -> Edit:
    """Return the edit that puts a rule at another place."""
    return lambda text: with_item_moved(text, _KEY, place - 1, to - 1)


async def preview(desk: Desk, edit: Edit) -> tuple[str, str, int]:
    """Return the document that an edit makes, its diff, and the version that it was made from. Raises ActionError."""
    now = await in_force_now(desk)
    text = edited(now.entry.text, edit)
    parse_policy(text)
    return text, difference_of(now.entry.text, text, f"version {now.entry.version}", "after"), now.entry.version


async def change(
    desk: Desk, edit: Edit, reason: str, *, based_on: int | None = None, confirm_within_s: int | None = None
) -> Applied:
    """Apply an edit. based_on: the version that its places are of. Raises ActionError, PolicyError."""
    now = await in_force_now(desk)
    if based_on is not None and based_on != now.entry.version:
        raise ActionError(f"the rules have changed since version {based_on}: look at them again")
    text = edited(now.entry.text, edit)
    return await apply_policy(desk, text, reason, based_on=now.entry.version, confirm_within_s=confirm_within_s)


def edited(text: str, edit: Edit) -> str:
    """Return the document that an edit makes. Raises ActionError."""
    try:
        return edit(text)
    except EditError as error:
        raise ActionError(str(error)) from None
