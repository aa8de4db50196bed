"""The doctor: what is wrong with the gateway, and how to mend it."""

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from services.console.doctor.examine import examine
from services.console.doctor.finding import Finding, Level
from services.console.identity.rights import Right
from services.console.web.errands import Errand, errands_of
from services.console.web.who import Visit, visiting

router = APIRouter()
_NAME = "doctor"
_LEVELS = {
    Level.WRONG: ("wrong", "bad"),
    Level.WARNING: ("warning", "warn"),
    Level.GOOD: ("good", "good"),
    Level.ASIDE: ("not looked at", "calm"),
}


@router.get("/doctor")
async def show(visit: Visit = visiting(Right.SEE), part: str = "") -> Response:
    """Show what was found last, or that it is being looked at."""
    visit.desk.must_see_all("the doctor")
    errand = errands_of(visit.request).find(_NAME)
    found: list[Finding] = (errand.result if errand is not None else None) or []
    order = list(_LEVELS)
    return visit.page(
        "doctor/findings.html" if part else "doctor/show.html",
        errand=errand,
        findings=sorted(found, key=lambda finding: order.index(finding.level)),
        levels=_LEVELS,
        counts={level: sum(finding.level is level for finding in found) for level in _LEVELS},
    )


@router.post("/doctor")
async def look(visit: Visit = visiting(Right.SEE)) -> Response:
    """Look at everything; at most one looks at a time."""
    visit.desk.must_see_all("the doctor")

    async def work(_errand: Errand) -> list[Finding]:
        return await examine(visit.desk.settings)

    errands_of(visit.request).start(_NAME, work, visit.now)
    return RedirectResponse("/doctor", 303)
