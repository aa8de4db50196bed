"""Who logged in to send mail, from where, and what they sent, as the trace tells it (I/O: SQL).

A log-in by which nothing was sent leaves no trace, but for those that were refused.
Input: a client's address, or an account's login. The recorder writes both as words of what came with a log-in, so that
it is found however long ago it was, and however much else came from there.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import Desk, NotUnderstood
from services.console.actions.search_keys import Key, Wanted, find_keys
from services.console.answers.accounts import LogIn
from services.console.rows import client_address
from services.console.search_terms import Term
from services.console.tables import events, messages
from services.console.words import Kind, word
from shared.event import EventKind
from shared.policy.client import plain_ip

_KINDS = (EventKind.RECEIVED.value, EventKind.COMMAND_REFUSED.value)


async def log_ins(
    desk: Desk, *, address: str = "", login: str = "", behind: Key | None = None, limit: int = 50
) -> tuple[list[LogIn], Key | None]:
    """Return the newest log-ins from an address, or of an account, and behind which key the next are; None: no more.

    Raises ActionError.
    """
    if bool(address) == bool(login):
        raise NotUnderstood("say an address, or a login")
    wanted = Wanted(_terms(desk, address, login), (), "", None, None, behind)
    shown: list[LogIn] = []
    async with desk.database.reading() as connection:
        while True:
            keys, behind = await find_keys(connection, wanted, limit - len(shown))
            shown += [one for one in await _of(connection, keys) if desk.caller.covers(one.login)]
            if behind is None or len(shown) >= limit:
                return shown, behind
            wanted = replace(wanted, behind=behind)


def _terms(desk: Desk, address: str, login: str) -> tuple[Term, ...]:
    if login:
        desk.must_cover(login)
        return ((word(Kind.LOGIN, login),),)
    found: tuple[Term, ...] = ((word(Kind.LOGIN_FROM, _plain(address)),),)
    if desk.caller.domains is not None:
        found += (tuple(word(Kind.LOGIN, f"@{domain}") for domain in sorted(desk.caller.domains)),)
    return found


async def _of(connection: AsyncConnection, keys: Sequence[Key]) -> list[LogIn]:
    query = (
        select(events.c.id, events.c.at, events.c.kind, events.c.facts, messages.c.state)
        .join(messages, messages.c.id == events.c.id, isouter=True)
        .where(events.c.id.in_([name for _, name in keys]), events.c.kind.in_(_KINDS))
        .order_by(events.c.at.desc())
    )
    rows = await connection.execute(query)
    found = [_told(row.id, row.at, json.loads(row.facts), row.state) for row in rows]
    return [one for one in found if one.login]


def _plain(address: str) -> str:
    try:
        return str(plain_ip(address.strip()))
    except ValueError as error:
        raise NotUnderstood(str(error)) from None


def _told(message_id: str, at: float, facts: dict[str, object], state: str | None) -> LogIn:
    found = facts.get("recipients")
    recipients = tuple(map(str, found)) if isinstance(found, list) else ()
    client = client_address(facts.get("client")) or ""
    login, listener, sender = (str(facts.get(name) or "") for name in ("login", "listener", "sender"))
    subject, refused = (str(facts.get(name) or "") for name in ("subject", "reason"))
    return LogIn(message_id, at, login, client, listener, sender, recipients, subject, state, refused)
