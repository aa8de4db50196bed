"""The overview: how the gateway is, what needs somebody's hand, what became of the last day's mail.

Whom domains bound sees what became of their domains' mail, and nothing of the machinery.
"""

import time
from typing import Any

from fastapi import APIRouter, Response

from services.console.actions.status import glance, outcomes_for
from services.console.identity.rights import Right
from services.console.pulse.facts import Outcomes
from services.console.web.drawing import bars, pipeline
from services.console.web.who import Visit, visiting

router = APIRouter()
_WIDE, _NARROW = (960, 230, 3), (340, 210, 6)


@router.get("/")
async def show(visit: Visit = visiting(Right.SEE)) -> Response:
    """Show the overview."""
    return visit.page("overview/show.html", **await _facts(visit))


@router.get("/overview/live")
async def refresh(visit: Visit = visiting(Right.SEE)) -> Response:
    """Give the part of the overview that lives, for the page that is open."""
    return visit.page("overview/live.html", **await _facts(visit))


async def _facts(visit: Visit) -> dict[str, Any]:
    domains = visit.caller.domains
    if domains is not None:
        day = await outcomes_for(visit.desk, domains)
        return {"status": None, "alerts": (), "at": time.time(), "domains": sorted(domains), "plot": _plot(day)}
    status, alerts = await glance(visit.desk)
    return {
        "status": status,
        "alerts": alerts,
        "at": status.at,
        "domains": None,
        "pictures": (("wide", pipeline.wide(status)), ("tall", pipeline.tall(status))),
        "plot": _plot(status.day) if status.day is not None else None,
    }


def _plot(day: Outcomes) -> dict[str, Any]:
    steps, hours = bars.rows(day), bars.rows(day, merged=2)
    return {
        "pictures": (
            ("wide", bars.bars(steps, day.step_s, *_WIDE)),
            ("tall", bars.bars(hours, 2 * day.step_s, *_NARROW)),
        ),
        "hours": hours,
        "totals": bars.totals(hours),
    }
