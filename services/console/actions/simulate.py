"""What a message would meet today, by the policy in force or a draft, and by the bans and accounts that there are (I/O:
SQL, broker, Redis).

On failure: ActionError, PolicyError for a draft that cannot be used.
"""

import json
import time

from sqlalchemy import select

from services.console.actions.desk import ActionError, Desk, NotUnderstood
from services.console.actions.lock_out import ban_of
from services.console.actions.policies import active_policy
from services.console.answers.simulate import Simulated
from services.console.simulate import Asked, Facts, first_refusal, not_told, simulate
from services.console.tables import accounts
from shared.accounts import Account
from shared.policy import parse_policy
from shared.policy.client import plain_ip

__all__ = ["Simulated", "simulate_message"]


async def simulate_message(desk: Desk, asked: Asked, draft: str | None = None) -> Simulated:
    """Return what a message would meet. draft: a document to ask in the place of the policy in force."""
    desk.must_see_all("what a message would meet")
    try:
        address = str(plain_ip(asked.client))
    except ValueError as error:
        raise NotUnderstood(f"the client: {error}") from None
    version = None
    if draft is None:
        entry = await active_policy(desk)
        if entry is None:
            raise ActionError('no policy is in force: gatepost policy apply FILE --reason "…"')
        policy, version = entry.policy(), entry.version
    else:
        policy = parse_policy(draft)
    facts = Facts(await ban_of(desk, address), await _account(desk, asked.login), time.time())
    try:
        steps = tuple(simulate(policy, asked, facts))
    except ValueError as error:
        raise NotUnderstood(str(error)) from None
    return Simulated(version, steps, first_refusal(steps), tuple(not_told(policy, asked)))


async def _account(desk: Desk, login: str | None) -> Account | None:
    if login is None:
        return None
    async with desk.database.reading() as connection:
        row = (await connection.execute(select(accounts).where(accounts.c.login == login.lower()))).one_or_none()
    return None if row is None else Account(row.login, senders=tuple(json.loads(row.senders)), disabled=row.disabled)
