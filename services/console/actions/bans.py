"""Bans, as an administrator sees, sets and lifts them (I/O: the shared state in Redis; SQL for the audit).

Owns: which text is an address that can be banned, and for how long.
On failure: ActionError: no `[redis]` in the settings (bans live in the memory of the edge then), or Redis is away.
"""

import re
import time
from dataclasses import dataclass

from services.console.actions.desk import ActionError, Desk
from services.console.actions.shared_state import shared_state
from shared.bans import BAN_PREFIX, Ban, ban_key, decode_ban, earlier_key, encode_ban, points_key, subject_of_text

BY_HAND = "by hand"
LONGEST_S = 10 * 365 * 86_400
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"([1-9][0-9]{0,8})(s|min|h|d)\Z")
_NO_REDIS = (
    "the settings have no [redis], so bans live in the memory of the edge alone: they end by themselves, and all of "
    "them when the edge is restarted; [[access]] rules of the policy deny or allow addresses for good"
)


@dataclass(frozen=True, slots=True)
class Banned:
    """One ban in force. subject: an IPv4 address or an IPv6 /64. left_s: how long it still lasts."""

    subject: str
    ban: Ban
    left_s: float


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


def parse_length(text: str) -> int:
    """Return the seconds of `90s`, `15min`, `12h` or `7d`. Raises ActionError."""
    matched = _LENGTH.match(text)
    if matched is None or int(matched[1]) * _UNITS[matched[2]] > LONGEST_S:
        raise ActionError(f"{text[:40]!r} is not a length of time: write 90s, 15min, 12h or 7d")
    return int(matched[1]) * _UNITS[matched[2]]


def _subject(address: str) -> str:
    try:
        return subject_of_text(address)
    except ValueError as error:
        raise ActionError(str(error)) from None


async def _note(desk: Desk, action: str, subject: str, **details: object) -> None:
    async with desk.database.writing() as connection:
        await desk.note(connection, action, subject, **details)
