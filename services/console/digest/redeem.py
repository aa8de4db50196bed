"""What a link in a report of quarantine does (I/O: SQL, broker).

Looking changes nothing: mail scanners follow links. A release is for the link's recipient alone; of a copy for several
the others' stays held. Whether it may be is asked anew, of the policy in force.
On failure: NotFound for a link that is none, has ended, or whose mail is not there; ActionError.
"""

import json
from dataclasses import dataclass

from sqlalchemy import select

from services.console.actions import quarantine
from services.console.actions.desk import ActionError, Desk, NotFound
from services.console.actions.quarantine import Held, envelope_of
from services.console.digest.choice import may_release, rules_for
from services.console.digest.token import Ask, BadToken, Ticket, read_token
from services.console.held import HELD
from services.console.release import Wish
from services.console.tables import audit
from shared.policy import Policy

ASKED = "quarantine ask"
_NONE = "this link does not work: it is older than 14 days, incomplete, or its message is not held any more"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a link leads to. ask: what its button does."""

    ticket: Ticket
    copy: Held
    ask: Ask


def ticket_of(token: str, secret: str, now: float) -> Ticket:
    """Return what a link says. Raises NotFound."""
    try:
        return read_token(token, secret, now)
    except BadToken:
        raise NotFound(_NONE) from None


async def offer(desk: Desk, ticket: Ticket, policy: Policy) -> Offer:
    """Return what a link leads to now. desk: its caller is the recipient. Raises NotFound, ActionError."""
    copy, ask = await _look(desk, ticket, policy)
    return Offer(ticket, copy, ask)


async def redeem(desk: Desk, ticket: Ticket, policy: Policy) -> Ask:
    """Do what a link is for, and return what was done. Raises NotFound, ActionError."""
    copy, ask = await _look(desk, ticket, policy)
    if ask is Ask.RELEASE:
        wish = Wish(ticket.recipient, part=copy.part)
        await quarantine.release(desk, copy.id, wish, "its recipient asked for it", only=ticket.recipient)
    elif ticket.recipient not in await asked_for(desk, copy):
        async with desk.database.writing() as connection:
            await desk.note(connection, ASKED, copy.id, part=copy.part, recipient=ticket.recipient)
    return ask


async def asked_for(desk: Desk, copy: Held) -> list[str]:
    """Return which recipients asked an administrator for a copy."""
    query = select(audit.c.details).where(audit.c.action == ASKED, audit.c.target == copy.id).limit(1000)
    async with desk.database.reading() as connection:
        found = [json.loads(text) for text in (await connection.execute(query)).scalars()]
    return sorted({str(one.get("recipient")) for one in found if one.get("part") == copy.part})


async def _look(desk: Desk, ticket: Ticket, policy: Policy) -> tuple[Held, Ask]:
    try:
        [copy] = await quarantine.find(desk, ticket.id, ticket.part)
    except ActionError:
        raise NotFound(_NONE) from None
    envelope = envelope_of(copy)
    is_theirs = envelope is not None and any(one.address == ticket.recipient for one in envelope.recipients)
    if copy.state != HELD or envelope is None or not is_theirs:
        raise NotFound(_NONE)
    rules = rules_for(policy, ticket.recipient)
    if rules is None:
        raise ActionError("users of your domain do not get such reports any more: ask your administrator")
    is_free = ticket.ask is Ask.RELEASE and may_release(envelope, copy.reason, rules)
    return copy, Ask.RELEASE if is_free else Ask.ASK
