"""Kept sessions of one hop (I/O).

Owns: who may be used again, for how long it idles, and saying good-bye.
On failure: a session that the hop has closed meanwhile is dropped silently; a fresh one is opened.
"""

import asyncio

from services.delivery.client.session import Session


class Pool:
    """The idle sessions of a hop, the last used first."""

    def __init__(self) -> None:
        self._idle: dict[int, tuple[Session, asyncio.TimerHandle]] = {}

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> Session | None:
        """Return an idle session that is still good, or None."""
        while self._idle:
            _, (session, timer) = self._idle.popitem()
            timer.cancel()
            if session.wire.is_usable:
                return session
            session.wire.quit()
        return None

    def give_back(self, session: Session, idle_s: float, messages: int) -> None:
        """Keep a session for the next message, or close it. messages: how many a session may carry."""
        if not session.wire.is_usable:
            session.wire.abort("out of step")
        elif session.transactions >= messages or idle_s <= 0:
            session.wire.quit()
        else:
            timer = asyncio.get_running_loop().call_later(idle_s, self._retire, id(session))
            self._idle[id(session)] = (session, timer)

    def close(self) -> None:
        """Say good-bye to all."""
        for session, timer in self._idle.values():
            timer.cancel()
            session.wire.quit()
        self._idle.clear()

    def _retire(self, key: int) -> None:
        session, _ = self._idle.pop(key)
        session.wire.quit()
