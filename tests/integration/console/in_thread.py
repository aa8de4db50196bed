"""A console that runs in a thread of its own, for tests that are not async: a generator of requests, a real browser."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

Got = TypeVar("Got")
_WAIT_S = 60


class Loop:
    """A loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def do(self, work: Coroutine[Any, Any, Got], timeout_s: float = _WAIT_S) -> Got:
        """Run a coroutine there to its end."""
        future: Future[Got] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(timeout_s)

    def run(self) -> None:
        """Serve until it is closed."""
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)


@contextmanager
def loop_in_thread() -> Iterator[Loop]:
    """Give a loop that runs in a thread for the length of a `with`."""
    loop = Loop()
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield loop
    finally:
        loop.close()
        thread.join(_WAIT_S)
