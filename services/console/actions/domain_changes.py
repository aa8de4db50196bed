"""Changing our domains in the policy in force (I/O: SQL, broker).

A change is an edit of the policy document, comments kept, and makes a new version of it like `gatepost policy apply`.
based_on: the version that whoever asks has seen; where another one is in force meanwhile, nothing is changed.
confirm_within_s: after so many seconds every stage goes back by itself, unless somebody confirms the change, which only
who may change the whole policy can.
On failure: ActionError, PolicyError (the document would not be usable, so nothing changes).
"""

import difflib
from collections.abc import Callable, Mapping

import tomlkit

from services.console.actions.desk import ActionError, Desk, OutOfBounds
from services.console.actions.domain_bounds import is_free, must_be_managed, must_stay_inside
from services.console.actions.domains import entry_in_force, rules_of
from services.console.actions.policies import Applied, apply_policy
from services.console.answers.domains import Change
from services.console.domain_edit import (
    EditError,
    KeyPath,
    Value,
    own_keys,
    with_domain,
    with_keys,
    without_domain,
)
from shared.policy import parse_policy
from shared.policy_entry import PolicyEntry

__all__ = ["Change", "add_domain", "change_of", "difference_for", "preview_keys", "remove_domain", "set_keys"]


async def add_domain(
    desk: Desk, domain: str, table: Mapping[str, Value], reason: str, *, confirm_within_s: int | None = None
) -> Applied:
    """Make a domain one of ours. Raises ActionError, PolicyError."""
    desk.must_see_all("adding a domain")
    why = f"domain add {domain}: {reason}"
    return await _edit(desk, why, lambda text: with_domain(text, domain, table), confirm_within_s=confirm_within_s)


async def set_keys(
    desk: Desk,
    domain: str,
    changes: Mapping[KeyPath, Value | None],
    reason: str,
    *,
    based_on: int | None = None,
    confirm_within_s: int | None = None,
) -> Applied:
    """Set keys of a domain, or take out those whose value is None. Raises ActionError, PolicyError."""
    desk.must_cover(domain)
    if confirm_within_s is not None and not is_free(desk.caller):
        raise OutOfBounds("you could not confirm it, and so it would go back: apply it for good")
    edit = _within_bounds(desk, domain, changes)
    why = f"domain set {domain}: {reason}"
    return await _edit(desk, why, edit, based_on=based_on, confirm_within_s=confirm_within_s)


async def remove_domain(desk: Desk, domain: str, reason: str, *, confirm_within_s: int | None = None) -> Applied:
    """Let a domain be none of ours any more. Raises ActionError, PolicyError."""
    desk.must_see_all("removing a domain")
    why = f"domain remove {domain}: {reason}"
    return await _edit(desk, why, lambda text: without_domain(text, domain), confirm_within_s=confirm_within_s)


async def preview_keys(desk: Desk, domain: str, changes: Mapping[KeyPath, Value | None]) -> Change:
    """Return what `set_keys` would do, and do nothing. Raises ActionError, PolicyError."""
    desk.must_cover(domain)
    entry = await entry_in_force(desk)
    text = _edited(entry, _within_bounds(desk, domain, changes))
    parse_policy(text)
    return Change(entry.version, difference_for(desk, domain, entry.text, text), is_new=text != entry.text)


def change_of(desk: Desk, applied: Applied) -> Change:
    """Return what a change did, as its caller may see it."""
    # A document's diff shows neighbouring lines, which may be another domain's; `preview_keys` shows them theirs.
    diff = applied.diff if desk.caller.sees_all else ""
    return Change(applied.entry.version, diff, applied.is_new)


def difference_for(desk: Desk, domain: str, before: str, after: str) -> str:
    """Return the unified diff that a caller may see of two documents."""
    if not desk.caller.sees_all:
        before, after = _table_text(before, domain), _table_text(after, domain)
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm=""))


def _within_bounds(desk: Desk, domain: str, changes: Mapping[KeyPath, Value | None]) -> Callable[[str], str]:
    """Return the edit, which refuses what is not the caller's to change."""
    if not is_free(desk.caller):
        must_be_managed(changes)

    def edit(text: str) -> str:
        before = parse_policy(text)
        rules_of(before, domain)
        after = with_keys(text, domain, changes)
        if not is_free(desk.caller):
            must_stay_inside(desk.caller, domain, before, parse_policy(after))
        return after

    return edit


async def _edit(
    desk: Desk,
    reason: str,
    edit: Callable[[str], str],
    *,
    based_on: int | None = None,
    confirm_within_s: int | None = None,
) -> Applied:
    entry = await entry_in_force(desk)
    if based_on is not None and based_on != entry.version:
        raise ActionError(f"the policy has changed since version {based_on}, which you were shown: look again")
    text = _edited(entry, edit)
    return await apply_policy(desk, text, reason, based_on=entry.version, confirm_within_s=confirm_within_s)


def _edited(entry: PolicyEntry, edit: Callable[[str], str]) -> str:
    try:
        return edit(entry.text)
    except EditError as error:
        raise ActionError(str(error)) from None


def _table_text(text: str, domain: str) -> str:
    return tomlkit.dumps(own_keys(text, domain))
