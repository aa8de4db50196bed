"""What is wrong with the gateway, and how to mend it."""

from fastapi import APIRouter

from services.console.actions.desk import Desk
from services.console.answers.doctor import Examined
from services.console.doctor.examine import examine
from services.console.doctor.finding import is_well
from services.console.identity.rights import Right
from services.console.web.who import at_desk

router = APIRouter(tags=["doctor"])


@router.get("/doctor")
async def examine_all(desk: Desk = at_desk(Right.SEE)) -> Examined:
    """Look at settings, certificates, ports, broker, engines, DNS, clocks, disk, database and policy, as seen here."""
    desk.must_see_all("the doctor")
    findings = await examine(desk.settings)
    return Examined(is_well(findings), findings)
