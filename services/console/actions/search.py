"""Finding messages and refused sessions (I/O: SQL).

Owns: `Search`, `find_messages`: the newest first, a page at a time. A page looks at so many rows at most: where few of
them fit, it has fewer items, and its cursor goes on from there.
A caller with domains finds what has a sender or a recipient there, and of its recipients sees those alone.
On failure: ActionError for what is not understood.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import Desk, NotUnderstood
from services.console.actions.search_keys import Wanted, find_keys, named
from services.console.answers.messages import FoundMessage
from services.console.rows import WAITING, State
from services.console.search_terms import (
    Asked,
    address_term,
    as_id,
    domain_term,
    ip_term,
    subject_terms,
    understand,
)
from services.console.tables import messages
from services.console.web.cursor import Page, decode_cursor, encode_cursor
from services.console.words import Kind, word

__all__ = ["OUTCOMES", "FoundMessage", "Search", "find_messages", "id_in"]

OUTCOMES: dict[str, tuple[State, ...]] = {state.value: (state,) for state in State} | {"waiting": WAITING}
_messages = messages.c


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; empty or None: anything. text: as people type it. since, until: when it came, Unix seconds.

    outcome: a state of `rows.State`, or `waiting`.
    """

    text: str = ""
    address: str = ""
    domain: str = ""
    ip: str = ""
    subject: str = ""
    outcome: str = ""
    listener: str = ""
    since: float | None = None
    until: float | None = None


async def find_messages(desk: Desk, search: Search, cursor: str = "", limit: int = 50) -> Page[FoundMessage]:
    """Return what fits, the newest first. Raises ActionError."""
    asked, wanted = _understood(desk, search, cursor)
    if desk.caller.domains is not None and not desk.caller.domains:
        return Page([])
    async with desk.database.reading() as connection:
        if asked.id is not None:
            keys, last = await named(connection, asked.id, wanted), None
        else:
            keys, last = await find_keys(connection, wanted, limit)
        found = await _rows(connection, [name for _, name in keys])
    shown = [_seen_by(desk, found[name]) for _, name in keys if name in found]
    return Page(shown, encode_cursor(*last) if last is not None else None)


def id_in(text: str) -> str | None:
    """Return the id that a text is, and nothing else; else None."""
    return as_id(text.strip()) if len(text.split()) == 1 else None


def _understood(desk: Desk, search: Search, cursor: str) -> tuple[Asked, Wanted]:
    if search.outcome and search.outcome not in OUTCOMES:
        raise NotUnderstood(f"{search.outcome!r} is no outcome; those are: {', '.join(OUTCOMES)}")
    try:
        asked = understand(search.text)
        terms = list(asked.terms)
        terms += [address_term(search.address)] if search.address.strip() else []
        terms += [domain_term(search.domain)] if search.domain.strip() else []
        terms += [ip_term(search.ip)] if search.ip.strip() else []
        terms += subject_terms(search.subject)
    except ValueError as error:
        raise NotUnderstood(str(error)) from None
    if desk.caller.domains is not None:
        terms.append(tuple(word(Kind.DOMAIN, domain) for domain in sorted(desk.caller.domains)))
    states = tuple(state.value for state in OUTCOMES.get(search.outcome, ()))
    behind = decode_cursor(cursor) if cursor else None
    # The same word may come from the text and from a field.
    distinct = tuple(dict.fromkeys(terms))
    return asked, Wanted(distinct, states, search.listener.strip(), search.since, search.until, behind)


async def _rows(connection: AsyncConnection, names: Sequence[str]) -> dict[str, FoundMessage]:
    if not names:
        return {}
    # What was split off knows its recipients alone; a report on a message has none, and is not of its sender.
    whole = messages.alias()
    is_part = (whole.c.id == _messages.parent) & _messages.recipients.is_not(None)
    query = (
        select(
            _messages.id,
            _messages.first_seen,
            _messages.last_seen,
            func.coalesce(_messages.listener, whole.c.listener).label("listener"),
            func.coalesce(_messages.client, whole.c.client).label("client"),
            func.coalesce(_messages.sender, whole.c.sender).label("sender"),
            _messages.recipients,
            literal(0).label("not_shown"),
            func.coalesce(_messages.subject, whole.c.subject).label("subject"),
            func.coalesce(_messages.size_bytes, whole.c.size_bytes).label("size_bytes"),
            func.coalesce(_messages.verdict, whole.c.verdict).label("verdict"),
            _messages.state,
            _messages.parent,
        )
        .select_from(messages.outerjoin(whole, is_part))
        .where(_messages.id.in_(names))
    )
    return {row.id: FoundMessage(*row) for row in await connection.execute(query)}


def _seen_by(desk: Desk, found: FoundMessage) -> FoundMessage:
    """Return a message as its caller may see it."""
    if desk.caller.sees_all or not found.recipients:
        return found
    names = found.recipients.split(", ")
    own = [name for name in names if desk.caller.covers(name)]
    values = {name: getattr(found, name) for name in FoundMessage.__slots__}
    return FoundMessage(**values | {"recipients": ", ".join(own), "not_shown": len(names) - len(own)})
