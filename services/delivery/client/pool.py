"""Kept sessions of one hop (I/O).

Owns: who may be used again, for what, for how long it idles, and saying good-bye; and that each session, kept or in
use, has one of the hop's seats until its connection has ended.
On failure: a session that the hop has closed meanwhile is dropped silently; a fresh one is opened.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from services.delivery.client.session import Session
from services.delivery.traffic.seats import Seats
from shared.policy import DeliveryRules

# Which sessions are alike: one opened on other terms (interface, TLS, login) is of no use. Any value that has a hash.
PoolKey = Hashable


@dataclass(frozen=True, slots=True)
class _Kept:
    key: PoolKey
    session: Session
    timer: asyncio.TimerHandle


class Pool:
    """The idle sessions of a hop, the last used first."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats
        seats.when_full(self.let_go_oldest)
        self._idle: dict[int, _Kept] = {}

    def __len__(self) -> int:
        return len(self._idle)

    def take(self, key: PoolKey = None) -> Session | None:
        """Return an idle session that is still good, of those kept under an equal key, or None."""
        while (number := self._last_under(key)) is not None:
            kept = self._idle.pop(number)
            kept.timer.cancel()
            if kept.session.wire.is_usable:
                return kept.session
            self._say_goodbye(kept.session)
        return None

    async def open(self, limit: int, make: Callable[[], Awaitable[Session]]) -> Session:
        """Return a new session, made on a seat that is its own until it has ended. Raises Busy, and what `make` raises.

        limit: of the hop's seats, over all processes.
        """
        await self._seats.take(limit)
        try:
            session = await make()
        except BaseException:
            self._seats.give_back()
            raise
        session.wire.when_ended(self._seats.give_back)
        return session

    def give_back(
        self, session: Session, rules: DeliveryRules, key: PoolKey = None, idle_s: float | None = None
    ) -> None:
        """Keep a session for the next message, or close it. idle_s: for how long, if not as the rules say."""
        idle_s = rules.idle_timeout_s if idle_s is None else idle_s
        if not session.wire.is_usable:
            session.wire.abort("out of step")
        elif session.transactions >= rules.messages_per_connection or idle_s <= 0:
            self._say_goodbye(session)
        else:
            timer = asyncio.get_running_loop().call_later(idle_s, self._retire, id(session))
            self._idle[id(session)] = _Kept(key, session, timer)

    def let_go_oldest(self) -> bool:
        """Tell the session that has idled longest to end; return whether there was one."""
        number = next(iter(self._idle), None)
        if number is None:
            return False
        self._idle[number].timer.cancel()
        self._retire(number)
        return True

    def close(self) -> None:
        """Say good-bye to all."""
        while self.let_go_oldest():
            pass

    def _last_under(self, key: PoolKey) -> int | None:
        return next((number for number, kept in reversed(self._idle.items()) if kept.key == key), None)

    def _retire(self, number: int) -> None:
        self._say_goodbye(self._idle.pop(number).session)

    def _say_goodbye(self, session: Session) -> None:
        if not session.wire.is_ended:
            self._seats.note_ending()
            session.wire.when_ended(self._seats.note_ended)
            session.wire.quit()
