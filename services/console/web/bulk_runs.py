"""Bulk work on quarantined mail, as an errand that page and API watch alike (I/O: tasks of this process).

A run is its user's alone: nobody else finds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request

from services.console.actions.desk import ActionError, Desk, NotFound
from services.console.actions.quarantine_bulk import Bulk, Copy, Deed, carry_out, prepared
from services.console.web.errands import Errand, errands_of
from services.console.web.who import backstage_of
from shared.ids import new_id

_RUNS_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Run:
    """A run by its id."""

    id: str
    bulk: Bulk
    errand: Errand


def start_run(request: Request, desk: Desk, deed: Deed, copies: Sequence[Copy], why: str) -> Run:
    """Begin. Raises ActionError."""
    bulk = prepared(deed, copies, why)
    errands, job = errands_of(request), new_id()
    running = [one for one in _mine(request, desk) if not one.errand.is_over]
    if len(running) >= _RUNS_AT_ONCE:
        raise ActionError(f"{len(running)} runs of yours are under way: wait until one of them is over")

    async def work(_errand: Errand) -> Bulk:
        await carry_out(desk, bulk, copies)
        return bulk

    errand = errands.start(_name(desk, job), work, backstage_of(request).clock(), bulk.total)
    errand.result = bulk
    _jobs(request).setdefault(_who(desk), []).append(job)
    return Run(job, bulk, errand)


def find_run(request: Request, desk: Desk, job: str) -> Run:
    """Return a run of the caller's. Raises NotFound."""
    errand = errands_of(request).find(_name(desk, job))
    if errand is None or not isinstance(errand.result, Bulk):
        raise NotFound("there is no such run of yours here: it was forgotten, or the console has started anew since")
    return Run(job, errand.result, errand)


def _mine(request: Request, desk: Desk) -> list[Run]:
    found = []
    for job in _jobs(request).get(_who(desk), []):
        errand = errands_of(request).find(_name(desk, job))
        if errand is not None and isinstance(errand.result, Bulk):
            found.append(Run(job, errand.result, errand))
    _jobs(request)[_who(desk)] = [one.id for one in found]
    return found


def _jobs(request: Request) -> dict[str, list[str]]:
    found: dict[str, list[str]] | None = getattr(request.app.state, "bulk_jobs", None)
    if found is None:
        found = request.app.state.bulk_jobs = {}
    return found


def _who(desk: Desk) -> str:
    return desk.caller.user or desk.caller.name


def _name(desk: Desk, job: str) -> str:
    return f"quarantine {job} {_who(desk)}"
