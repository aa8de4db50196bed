"""Releasing a held mail and letting its sender through from now on (I/O: SQL, broker).

The new policy is made and checked first, then the mail is released, then the policy is applied: what is refused is
refused before anything happens. A domain manager's exemption holds for the manager's own domains alone.
On failure: ActionError, PolicyError. Where the mail has gone and the policy failed, the text says so.
"""

from services.console.actions.desk import ActionError, Desk, NotUnderstood, OutOfBounds
from services.console.actions.domains import entry_in_force
from services.console.actions.policies import apply_policy
from services.console.actions.quarantine import Held, envelope_of, find_to_decide, release
from services.console.domain_edit import EditError
from services.console.exemption_edit import with_exemption
from services.console.held import HELD
from services.console.identity.rights import Caller, Right
from services.console.release import Released, Wish
from services.console.sender_exemption import NoExemption, sender_exemption
from shared.policy import parse_policy


def may_allow(caller: Caller) -> bool:
    """Whether the caller may let senders through at all."""
    return caller.may(Right.LET_THROUGH)


async def release_and_allow(desk: Desk, message_id: str, part: str, why: str) -> list[Released]:
    """Release a copy past what decided, and exempt its sender for its recipients' domains. Raises ActionError."""
    if not may_allow(desk.caller):
        raise OutOfBounds(f"the role {desk.caller.role.value} may not let senders through")
    if not why.strip():
        raise NotUnderstood("say in a few words why: it stands beside the exemption in the policy")
    copy = await _held(desk, message_id, part)
    envelope = envelope_of(copy)
    if envelope is None:
        raise ActionError(f"{copy.id} has no readable envelope, so nobody knows who sent it")
    desk.must_cover(*(recipient.address for recipient in envelope.recipients))
    entry = await entry_in_force(desk)
    policy = parse_policy(entry.text)
    try:
        keys = sender_exemption(envelope, why.strip(), desk.who, {one.name for one in policy.exemptions})
        text = with_exemption(entry.text, keys)
    except (NoExemption, EditError) as error:
        raise ActionError(str(error)) from None
    parse_policy(text)
    released = await release(desk, copy.id, Wish(desk.who, part=copy.part), why)
    try:
        await apply_policy(desk, text, f"let {envelope.sender} through: {why.strip()}", based_on=entry.version)
    except ActionError as error:
        raise ActionError(f"{copy.id} is released, but its sender is not let through from now on: {error}") from None
    return released


async def _held(desk: Desk, message_id: str, part: str) -> Held:
    copy = (await find_to_decide(desk, message_id, part))[0]
    if copy.state != HELD:
        raise ActionError(f"{copy.id} is not held any more: it was {copy.state} before")
    return copy
