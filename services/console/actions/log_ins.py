"""Who logged in to send mail, from where, and what they sent, as the trace tells it (I/O: SQL).

A log-in by which nothing was sent leaves no trace, but for those that were refused.
Input: a client's address, or an account's login. The trace has the words of client and sender, by which the newest mail
is found; of that, what came with a log-in is told.
"""

import json

from sqlalchemy import select

from services.console.actions.desk import Desk, NotUnderstood
from services.console.answers.accounts import LogIn
from services.console.rows import client_address
from services.console.tables import accounts, events, message_words, messages
from services.console.words import Kind, word
from shared.event import EventKind
from shared.policy.client import plain_ip

# So many of the newest messages are looked at for those that came with the log-in.
LOOKED_AT = 1000
_KINDS = (EventKind.RECEIVED.value, EventKind.COMMAND_REFUSED.value)


async def log_ins(desk: Desk, *, address: str = "", login: str = "", limit: int = 50) -> list[LogIn]:
    """Return the newest log-ins from an address, or of an account, the last one first. Raises ActionError."""
    if bool(address) == bool(login):
        raise NotUnderstood("say an address, or a login")
    words = [word(Kind.CLIENT, _plain(address))] if address else await _words_of(desk, login)
    columns = message_words.c
    found = select(columns.id).where(columns.word.in_(words)).order_by(columns.at.desc()).limit(LOOKED_AT)
    query = (
        select(events.c.id, events.c.at, events.c.kind, events.c.facts, messages.c.state)
        .join(messages, messages.c.id == events.c.id, isouter=True)
        .where(events.c.id.in_(found), events.c.kind.in_(_KINDS))
        .order_by(events.c.at.desc())
    )
    shown: list[LogIn] = []
    async with desk.database.reading() as connection:
        for row in await connection.execute(query):
            one = _told(row.id, row.at, json.loads(row.facts), row.state)
            if one.login and (not login or one.login.lower() == login.lower()) and desk.caller.covers(one.login):
                shown.append(one)
            if len(shown) >= limit:
                break
    return shown


async def _words_of(desk: Desk, login: str) -> list[str]:
    """Return the words of all that an account may send as."""
    desk.must_cover(login)
    async with desk.database.reading() as connection:
        text = await connection.scalar(select(accounts.c.senders).where(accounts.c.login == login.lower()))
    senders: list[str] = json.loads(text) if text else []
    return [
        word(Kind.DOMAIN, one[1:]) if one.startswith("@") else word(Kind.ADDRESS, one) for one in senders or [login]
    ]


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
