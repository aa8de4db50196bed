"""Asking somebody for recipients, no more than needed (I/O through the asker).

Owns: the memory of answers; one question per recipient at a time, however many sessions wait for it; the bound on
questions under way; asking again, in the background, for what is stale.
Output: `Known`. On failure: unsure; that the asker fails, and that it answers again, is logged once each.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog
from prometheus_client import Counter

from services.edge.decide.recipient import Known
from services.edge.recipients.memory import Kept, Memory

_log = structlog.get_logger()
QUESTIONS = Counter(
    "gatepost_edge_recipient_questions_total",
    "Questions for recipients, by who was asked and result",
    ["asked", "result"],
)


class Asker(Protocol):
    """Somebody who knows recipients."""

    async def ask(self, recipient: str) -> Known:
        """Return what it says, in its own time, which has a bound. What it raises counts as unsure."""


class Asking:
    """What is known of recipients by one asker. name: its name in logs and metrics. at_once: questions under way."""

    def __init__(
        self,
        name: str,
        asker: Asker,
        kept: Kept,
        *,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._asker = asker
        self._at_once = at_once
        self._clock = clock
        self._memory = Memory(kept)
        self._under_way: dict[str, asyncio.Task[Known]] = {}
        self._is_away = False

    def recall(self, recipient: str) -> Known | None:
        """Return what is remembered, or None; what is stale is asked for meanwhile."""
        now = self._clock()
        known = self._memory.recall(recipient, now)
        if known is Known.YES and self._memory.is_stale(recipient, now) and self._has_room(recipient):
            self._begin(recipient)
        return known

    async def knows(self, recipient: str) -> Known:
        """Return what the asker says; at once where too much is under way."""
        task = self._under_way.get(recipient)
        if task is None:
            if not self._has_room(recipient):
                QUESTIONS.labels(self._name, "too-many").inc()
                return Known.UNSURE
            task = self._begin(recipient)
        # A session that ends takes the question from nobody else.
        return await asyncio.shield(task)

    def forget_refused(self) -> None:
        """Ask again for all but those that are known, after a change of the policy."""
        self._memory.forget_refused()

    async def close(self) -> None:
        """Give up what is under way; whoever waits for it is told `unsure`."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _has_room(self, recipient: str) -> bool:
        return recipient not in self._under_way and len(self._under_way) < self._at_once

    def _begin(self, recipient: str) -> asyncio.Task[Known]:
        task = asyncio.get_running_loop().create_task(self._ask(recipient))
        self._under_way[recipient] = task
        return task

    async def _ask(self, recipient: str) -> Known:
        try:
            known = await self._asker.ask(recipient)
            self._note_away(None)
        except asyncio.CancelledError:
            return Known.UNSURE
        except Exception as error:  # nobody is refused because the asker is ill
            self._note_away(error)
            known = Known.UNSURE
        finally:
            del self._under_way[recipient]
        QUESTIONS.labels(self._name, known.value).inc()
        self._memory.note(recipient, known, self._clock())
        return known

    def _note_away(self, error: Exception | None) -> None:
        if error is not None and not self._is_away:
            _log.error("recipients-not-known", asked=self._name, cause=f"{type(error).__name__}: {error}")
        elif error is None and self._is_away:
            _log.info("recipients-known-again", asked=self._name)
        self._is_away = error is not None
