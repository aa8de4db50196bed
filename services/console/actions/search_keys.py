"""Which messages fit a search, by their keys: time and id (I/O: SQL).

Owns: what drives a search: the rarest word, a rare outcome, or time; and what is tested on what that gives. Each
question is one that an index answers in order; a page looks at so many rows at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    String,
    Subquery,
    and_,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.search_terms import Term
from services.console.tables import message_words, messages
from services.console.words import time_of
from shared.ids import make_id

# Rows that one page looks at.
LOOKS_AT = 15_000
# A word, or an outcome, that fewer messages have is rare: all of them are looked at.
RARE = 2_000
_AT_ONCE = 500
_WORDS_AT_ONCE = 50
# Ids of ours are below; what came without a readable one has a name that is above, and no time.
_BEHIND_ALL_IDS = "8"
_LAST_MS = (1 << 48) - 1
_words, _messages = message_words.c, messages.c
Key = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search in the terms of the tables. behind: the last key that was shown."""

    terms: tuple[Term, ...]
    states: tuple[str, ...]
    listener: str
    since: float | None
    until: float | None
    behind: Key | None


@dataclass(frozen=True, slots=True)
class _Looks:
    """How much of a source is read. limit: keys of a page. at: rows that are looked at for them."""

    limit: int
    at: int


async def named(connection: AsyncConnection, name: str, wanted: Wanted) -> list[Key]:
    """Return the key of an id, where it fits the rest of the search."""
    row = (await connection.execute(select(_messages.first_seen).where(_messages.id == name))).one_or_none()
    if row is None:
        return []
    return await _fitting(connection, [(time_of(name, row.first_seen), name)], wanted)


async def find_keys(connection: AsyncConnection, wanted: Wanted, limit: int) -> tuple[list[Key], Key | None]:
    """Return the keys of a page, and from where the next one goes on; None: there is none."""
    terms = wanted.terms
    if not terms:
        return await _page(connection, _of_states(wanted) if wanted.states else _of_time(wanted), (), wanted, limit)
    first = terms[0]
    if len(terms) > 1 or wanted.states:
        counted = [(await _count(connection, _of_term(term, wanted)), term) for term in terms]
        times, first = min(counted, key=lambda pair: pair[0])
        if times >= RARE and wanted.states:
            held = await _candidates(connection, wanted)
            if held is not None:
                fitting = await _fitting(connection, held, wanted)
                return fitting[:limit], fitting[limit - 1] if len(fitting) > limit else None
    others = tuple(term for term in terms if term != first)
    return await _page(connection, _of_term(first, wanted), others, wanted, limit)


Source = Select[Key]


def _of_term(term: Term, wanted: Wanted) -> list[Source]:
    """Return the keys of messages that have a word of a term: for each word a source that an index has in order."""
    wheres = _between(_words.at, _words.id, wanted)
    return [select(_words.at, _words.id).where(_words.word == one, *wheres) for one in term]


def _of_states(wanted: Wanted) -> list[Source]:
    at = _messages.first_seen.label("at")
    wheres = _between(_messages.first_seen, _messages.id, wanted)
    return [select(at, _messages.id).where(_messages.state == state, *wheres) for state in wanted.states]


def _of_time(wanted: Wanted) -> list[Source]:
    """Return all messages by their ids, which stand in the order of time."""
    wheres = [_messages.id < (wanted.behind[1] if wanted.behind else _BEHIND_ALL_IDS)]
    if wanted.since is not None:
        wheres.append(_messages.id >= _id_at(wanted.since))
    if wanted.until is not None:
        wheres.append(_messages.id < _id_at(wanted.until))
    return [select(_messages.first_seen.label("at"), _messages.id).where(*wheres)]


def _id_at(at: float) -> str:
    return make_id(min(max(0, round(at * 1000)), _LAST_MS), 0)


def _between(at: ColumnElement[float], name: ColumnElement[str], wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.behind is not None:
        # The time alone is what an index is entered by where a row comparison is not.
        found += [at <= wanted.behind[0], tuple_(at, name) < tuple_(*map(literal, wanted.behind))]
    if wanted.since is not None:
        found.append(at >= wanted.since)
    if wanted.until is not None:
        found.append(at < wanted.until)
    return found


async def _count(connection: AsyncConnection, sources: Sequence[Source]) -> int:
    """Return how many rows some sources have, or that they are not few."""
    few = union_all(*sources).limit(RARE).subquery()
    return int(await connection.scalar(select(func.count()).select_from(few)) or 0)


async def _candidates(connection: AsyncConnection, wanted: Wanted) -> list[Key] | None:
    """Return all messages of a rare outcome, the newest first; None: it is not rare."""
    query = select(_messages.first_seen, _messages.id).where(_messages.state.in_(wanted.states)).limit(RARE)
    keys = [(time_of(row.id, row.first_seen), row.id) for row in await connection.execute(query)]
    return None if len(keys) >= RARE else sorted(keys, reverse=True)


async def _fitting(connection: AsyncConnection, keys: list[Key], wanted: Wanted) -> list[Key]:
    """Return those of some keys that fit the search."""
    keys = [key for key in keys if _is_between(key, wanted)]
    for term in wanted.terms:
        fits: set[str] = set()
        for place in range(0, len(keys), _WORDS_AT_ONCE):
            some = keys[place : place + _WORDS_AT_ONCE]
            # Row by row of the primary key: a planner would read all rows of a frequent word for a list of times.
            rows = [and_(_words.word == one, _words.at == at, _words.id == name) for one in term for at, name in some]
            query = select(_words.id).where(or_(*rows))
            fits.update((await connection.execute(query)).scalars())
        keys = [key for key in keys if key[1] in fits]
    if wanted.states or wanted.listener:
        fits = set()
        for place in range(0, len(keys), _AT_ONCE):
            names = [name for _, name in keys[place : place + _AT_ONCE]]
            query = select(_messages.id).where(_messages.id.in_(names), *_of_row(wanted))
            fits.update((await connection.execute(query)).scalars())
        keys = [key for key in keys if key[1] in fits]
    return keys


def _is_between(key: Key, wanted: Wanted) -> bool:
    return (
        (wanted.behind is None or key < wanted.behind)
        and (wanted.since is None or key[0] >= wanted.since)
        and (wanted.until is None or key[0] < wanted.until)
    )


def _of_row(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.states:
        found.append(_messages.state.in_(wanted.states))
    if wanted.listener:
        found.append(_messages.listener == wanted.listener)
    return found


async def _page(
    connection: AsyncConnection, sources: Sequence[Source], others: Sequence[Term], wanted: Wanted, limit: int
) -> tuple[list[Key], Key | None]:
    """Return the keys of a page from sources in order, and from where the next goes on.

    Each source is read for itself, for a planner sorts all of a frequent word's rows rather than merge two indexes.
    """
    found: set[Key] = set()
    ends: list[Key] = []
    for source in sources:
        looks = _Looks(limit, max(limit, LOOKS_AT // len(sources)))
        keys, end = await _read(connection, source, others, wanted, looks)
        found.update(keys)
        ends += [end] if end is not None else []
    # Down to here all sources are known.
    end = max(ends, default=None)
    shown = sorted((key for key in found if end is None or key >= end), reverse=True)
    return (shown[:limit], shown[limit - 1]) if len(shown) > limit else (shown, end)


async def _read(
    connection: AsyncConnection, source: Source, others: Sequence[Term], wanted: Wanted, looks: _Looks
) -> tuple[list[Key], Key | None]:
    """Return keys of a source that fit, one more than a page has, and how far they go; None: to the end."""
    # Where only time counts, ids are in its order, and there is an index of them.
    names_alone = not (wanted.terms or wanted.states)
    ordered = source if names_alone else source.order_by(literal_column("at", Double).desc())
    ordered = ordered.order_by(literal_column("id", String).desc())
    is_tested = bool(others or wanted.listener or (wanted.states and wanted.terms))
    looked = ordered.limit(looks.at if is_tested else looks.limit + 1).subquery("looked")
    at, name = looked.c.at, looked.c.id
    # Each test is a look into an index, deliberately: as a join, a planner may read all rows of a frequent word.
    tests = [_has(looked, term) for term in others]
    if is_tested and (wanted.states or wanted.listener):
        tests.append(_is(select(literal(1)).where(_messages.id == name, *_of_row(wanted))))
    query = select(at, name).where(*tests).limit(looks.limit + 1)
    query = query.order_by(name.desc()) if names_alone else query.order_by(at.desc(), name.desc())
    rows = await connection.execute(query)
    keys = [(time_of(row.id, row.at) if names_alone else row.at, row.id) for row in rows]
    if len(keys) > looks.limit:
        return keys, keys[-1]
    if not is_tested:
        return keys, None
    # Fewer: the end, or as far as one page looks.
    reached = (await connection.execute(ordered.offset(looks.at - 1).limit(1))).one_or_none()
    return keys, (reached.at, reached.id) if reached is not None else None


def _has(looked: Subquery, term: Term) -> ColumnElement[bool]:
    other = message_words.alias()
    same = (other.c.word.in_(term), other.c.at == looked.c.at, other.c.id == looked.c.id)
    return _is(select(literal(1)).where(*same))


def _is(query: Select[int]) -> ColumnElement[bool]:
    return query.limit(1).scalar_subquery().is_not(None)
