"""A hop's connections, over all delivery processes (I/O: the shared state).

Owns: one place in the shared state for each session that is open, kept or in use, from before it connects until its
connection has ended, so that a message on a kept session costs no question. Where no place is free, a session of this
process that idles for other mail is closed, and one that is just ending is waited for, shortly.
On failure: `Busy`. While the shared state is away, this process counts alone (shared/state/fallback.py).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from services.delivery.traffic.busy import Busy, busy_by
from shared.state.port import Ask, Place, State

# A QUIT is answered within this, mostly; a session that was told to end is waited for no longer.
_ENDING_S = 0.5


class Seats:
    """The connections of one hop. key: the hop's."""

    def __init__(self, key: str, state: State) -> None:
        self._key = f"delivery:hop:{key}"
        self._state = state
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._giving_back: set[asyncio.Task[None]] = set()
        self._room_makers: list[Callable[[], bool]] = []
        self._ending = 0
        self.taken = 0

    def when_full(self, make_room: Callable[[], bool]) -> None:
        """Ask this for room where there is none: it tells an idle session to end, and whether there was one."""
        self._room_makers.append(make_room)

    async def take(self, limit: int) -> None:
        """Take one. limit: how many there are, over all processes. Raises Busy."""
        if await self._has_entered(limit):
            self.taken += 1
            return
        if len(self._waiting) >= self._ending and not any(make_room() for make_room in self._room_makers):
            raise Busy("waiting for a free connection to the hop")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(_ENDING_S):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It came at the same moment: pass it on.
                self.give_back()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise Busy("waiting for a free connection to the hop") from None
            raise

    async def count(self, asks: Sequence[Ask]) -> None:
        """Count a message that is about to go. Raises Busy."""
        if asks and (refused := await self._state.take(asks)) is not None:
            raise busy_by(refused.rate)

    async def _has_entered(self, limit: int) -> bool:
        while await self._state.enter([Place(self._key, limit)]) is not None:
            # A connection that has ended a moment ago is counted until the state has heard of it.
            if not self._giving_back:
                return False
            heard, _ = await asyncio.wait(self._giving_back, timeout=_ENDING_S, return_when=asyncio.FIRST_COMPLETED)
            if not heard:
                return False
        return True

    def give_back(self) -> None:
        """Give one back, to who waits for it here first."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1
        # The state is told behind our back: the end of a connection has nobody to wait for it.
        task = asyncio.get_running_loop().create_task(self._state.leave([self._key]))
        self._giving_back.add(task)
        task.add_done_callback(self._giving_back.discard)

    def note_ending(self) -> None:
        """Note that a session was told to end."""
        self._ending += 1

    def note_ended(self) -> None:
        """Note that such a one has ended."""
        self._ending -= 1
