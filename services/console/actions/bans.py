"""Bans, as an administrator sees, sets and lifts them (I/O: the shared state in Redis; SQL for the audit).

Owns: which text is an address that can be banned, and for how long.
On failure: ActionError: no `[redis]` in the settings (bans live in the memory of the edge then), or Redis is away.
"""

import time

from services.console.actions.desk import ActionError, Desk, NotUnderstood
from services.console.actions.shared_state import shared_state
from services.console.answers.bans import LONGEST_S, Banned, parse_length
from shared.bans import (
    BAN_PREFIX,
    Ban,
    ban_key,
    decode_ban,
    earlier_key,
    encode_ban,
    points_key,
    subject_of,
    subject_of_text,
)

__all__ = ["BY_HAND", "LONGEST_S", "Banned", "add_ban", "list_bans", "parse_length", "remove_ban"]

BY_HAND = "by hand"
_NO_REDIS = (
    "the settings have no [redis], so bans live in the memory of the edge alone: they end by themselves, and all of "
    "them when the edge is restarted; [[access]] rules of the policy deny or allow addresses for good"
)


async def list_bans(desk: Desk, limit: int) -> list[Banned]:
    """Return at most so many bans in force, sorted by address. Raises ActionError."""
    async with shared_state(desk, _NO_REDIS) as state:
        entries = await state.find(BAN_PREFIX, limit)
    now = time.time()
    found = []
    for entry in entries:
        ban = decode_ban(entry.value)
        if ban is not None and ban.left_s(now) > 0:
            found.append(Banned(entry.key.removeprefix(BAN_PREFIX), ban, ban.left_s(now)))
    return found


async def add_ban(desk: Desk, address: str, length_s: int, why: str = "") -> Banned:
    """Ban an address, or change the end of its ban; every edge heeds it within seconds. Raises ActionError."""
    subject, now = _subject(address), time.time()
    if not 1 <= length_s <= LONGEST_S:
        raise NotUnderstood("a ban lasts a second at least, and ten years at most")
    if desk.caller.address and _is_subject(desk.caller.address, subject):
        raise ActionError(f"this would lock you out: you act from {desk.caller.address}, and a ban holds here, too")
    async with shared_state(desk, _NO_REDIS) as state:
        # It tells how often the address was banned, and does not itself make its next ban longer.
        earlier = (await state.get([earlier_key(subject)]))[0]
        count = int(earlier) + 1 if earlier is not None and earlier.isdigit() else 1
        ban = Ban(until=now + length_s, why=why or BY_HAND, at=now, count=count)
        await state.put(ban_key(subject), encode_ban(ban), length_s)
    await _note(desk, "ban add", subject, length_s=length_s, why=ban.why)
    return Banned(subject, ban, length_s)


async def remove_ban(desk: Desk, address: str, *, forget: bool = False) -> str:
    """Lift a ban and forget the points that led to it; with `forget` also earlier bans. Raises ActionError."""
    subject = _subject(address)
    async with shared_state(desk, _NO_REDIS) as state:
        was_banned = await state.forget(ban_key(subject))
        await state.forget(points_key(subject))
        forgotten = forget and await state.forget(earlier_key(subject))
    if not was_banned and not forgotten:
        raise ActionError(f"{subject} is not banned")
    await _note(desk, "ban remove", subject, forget=forget)
    return subject


def _is_subject(address: str, subject: str) -> bool:
    try:
        return subject_of(address) == subject
    except ValueError:
        return False


def _subject(address: str) -> str:
    try:
        return subject_of_text(address)
    except ValueError as error:
        raise NotUnderstood(str(error)) from None


async def _note(desk: Desk, action: str, subject: str, **details: object) -> None:
    async with desk.database.writing() as connection:
        await desk.note(connection, action, subject, **details)
