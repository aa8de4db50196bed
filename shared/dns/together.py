"""Two look-ups side by side, each of which may be many (I/O only through them)."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def both(first: Coroutine[None, None, A], second: Coroutine[None, None, B]) -> tuple[A, B]:
    """Return both results. What one raises ends the other, too."""
    async with asyncio.TaskGroup() as group:
        other = group.create_task(second)
        return await first, await other
