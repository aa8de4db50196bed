"""An answer that is kept for a moment: whoever asks meanwhile gets the same one, and one asking serves all."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Kept(Generic[Answer]):
    """One kind of answer. lasts_s: for how long it is good. latest: the last one there was, or None."""

    def __init__(self, lasts_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasts_s = lasts_s
        self._clock = clock
        self._asking: asyncio.Task[Answer] | None = None
        self._got_at: float | None = None
        self.latest: Answer | None = None

    async def get(self, ask: Callable[[], Awaitable[Answer]], *, patience_s: float | None = None) -> Answer | None:
        """Return a good answer. patience_s: after so long the latest one will do, and None where there is none."""
        if self._got_at is not None and self._clock() - self._got_at < self._lasts_s:
            return self.latest
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(ask))
        asking = self._asking
        done, _ = await asyncio.wait([asking], timeout=patience_s)
        return asking.result() if done else self.latest

    async def _ask(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        answer = await ask()
        self.latest, self._got_at = answer, self._clock()
        return answer

    async def close(self) -> None:
        """End an asking that is under way."""
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
