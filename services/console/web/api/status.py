"""How the gateway is, what needs somebody's hand, and whether a machine can be taken down."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.console.actions import drain as draining
from services.console.actions.alerts import Alert
from services.console.actions.desk import Desk
from services.console.actions.status import glance, outcomes_for, status
from services.console.identity.rights import Right
from services.console.pulse.facts import Outcomes, Status
from services.console.web.who import at_desk

router = APIRouter(tags=["status"])
Host = Annotated[str, Path(max_length=255)]
Domains = Annotated[list[Annotated[str, Query(max_length=255)]], Query(max_length=100)]


@router.get("/status")
async def show_status(desk: Desk = at_desk(Right.SEE)) -> Status:
    """Show how services, queues, broker, engines and mail are; figures are seconds old, engines up to a minute."""
    return await status(desk)


@router.get("/alerts")
async def list_alerts(desk: Desk = at_desk(Right.SEE)) -> list[Alert]:
    """List what needs somebody's hand, the worst first."""
    return list((await glance(desk))[1])


@router.get("/outcomes")
async def show_outcomes(
    desk: Desk = at_desk(Right.SEE),
    domain: Domains = [],  # noqa: B006 - FastAPI copies it
) -> Outcomes:
    """Count what became of the last 24 hours' mail from and to domains; without any, of all that the token may see."""
    chosen = {name.lower() for name in domain} or desk.caller.domains
    if chosen is None:
        found = (await status(desk)).day
        return found or Outcomes(0.0, 0.0, ())
    return await outcomes_for(desk, chosen)


@router.get("/drain")
async def list_drains(desk: Desk = at_desk(Right.SEE)) -> list[draining.Drain]:
    """Say of each host whether it can be taken down now, and why or why not."""
    return await draining.drains(desk)


@router.get("/drain/{host}")
async def show_drain(host: Host, desk: Desk = at_desk(Right.SEE)) -> draining.Drain:
    """Say of a host whether it can be taken down now."""
    return await draining.drain(desk, host)
