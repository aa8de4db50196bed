"""Work that a page starts, and watches until it is done (I/O: tasks of this process).

Owns: `Errands`, one per application: at most one errand of a name runs at a time, and the last result of each is kept
until the process ends, or until too many others came after it.
On failure: an errand that fails says why instead of a result; one that nobody expected to fail is logged.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi import Request

from services.console.actions.desk import ActionError
from services.console.management import ManagementError
from shared.errors import SettingsError

_log = structlog.get_logger()
_KEPT = 500


@dataclass(slots=True)
class Errand:
    """One piece of work. total: how many steps it has, 0 if nobody knows. result: None until it is done."""

    began_at: float
    total: int = 0
    done: list[str] = field(default_factory=list)
    result: Any = None
    problem: str = ""
    is_over: bool = False


class Errands:
    """The errands of one process, by name."""

    def __init__(self) -> None:
        self._kept: dict[str, Errand] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, name: str) -> Errand | None:
        """Return an errand, running or over."""
        return self._kept.get(name)

    def start(self, name: str, work: Callable[[Errand], Awaitable[object]], now: float, total: int = 0) -> Errand:
        """Start an errand, or return the one of that name that runs. now: Unix seconds."""
        known = self._kept.get(name)
        if known is not None and not known.is_over:
            return known
        errand = self._keep(name, Errand(now, total))
        task = asyncio.create_task(self._run(name, errand, work), name=f"errand {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return errand

    def put(self, name: str, result: object, now: float) -> None:
        """Keep a result that came by another errand."""
        self._keep(name, Errand(now, result=result, is_over=True))

    async def wait(self) -> None:
        """Wait until nothing runs."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _keep(self, name: str, errand: Errand) -> Errand:
        self._kept.pop(name, None)
        self._kept[name] = errand
        over = [known for known, one in self._kept.items() if one.is_over]
        for known in over[: max(0, len(self._kept) - _KEPT)]:
            del self._kept[known]
        return errand

    async def _run(self, name: str, errand: Errand, work: Callable[[Errand], Awaitable[object]]) -> None:
        try:
            errand.result = await work(errand)
        except (ActionError, SettingsError, ManagementError) as error:
            errand.problem = str(error)
        except Exception as error:  # the page that watches must learn that it is over
            _log.exception("errand-failed", name=name)
            errand.problem = f"something went wrong here ({type(error).__name__}); the log has it"
        finally:
            errand.is_over = True


def errands_of(request: Request) -> Errands:
    """Return the errands of the application."""
    found = getattr(request.app.state, "errands", None)
    if found is None:
        found = request.app.state.errands = Errands()
    assert isinstance(found, Errands)
    return found
