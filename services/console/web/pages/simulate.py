"""What would this message meet today? By what SMTP would say of it and, where it is handed in, by content, too."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, ValidationError

from services.console.actions.desk import ActionError
from services.console.actions.policies import policy_now
from services.console.actions.simulate import Simulated, simulate_message
from services.console.actions.trials import try_message
from services.console.identity.rights import Right
from services.console.simulate import Asked, read_recipients
from services.console.web.message_body import message_of_form
from services.console.web.turns import turns_of
from services.console.web.who import CSRF_FIELD, Visit, visiting
from shared.explain import explain

router = APIRouter()
_FILE = "message"
Word = Annotated[str, Field(max_length=320)]


class Typed(BaseModel):
    """What the form says."""

    client: Word = ""
    listener: Word = "mx"
    helo: Word = ""
    name: Word = ""
    sender: Word = ""
    recipients: str = Field("", max_length=20_000)
    size_kb: int = Field(10, ge=0, le=2_000_000)
    tls: bool = False
    login: Word = ""

    @property
    def asked(self) -> Asked:
        """What is asked. Raises ValueError."""
        return Asked(
            client=self.client.strip(),
            listener=self.listener,
            sender=self.sender.strip(),
            recipients=read_recipients(self.recipients),
            helo=self.helo.strip(),
            name=self.name.strip() or None,
            tls=self.tls,
            login=self.login.strip() or None,
            size_bytes=self.size_kb * 1000,
        )


@router.get("/policy/simulate")
async def show(typed: Annotated[Typed, Query()], visit: Visit = visiting(Right.SEE)) -> Response:
    """Ask what a message is, and tell what it would meet."""
    visit.desk.must_see_all("the policy")
    if not typed.client.strip():
        return await _page(visit, typed)
    try:
        return await _page(visit, typed, await simulate_message(visit.desk, typed.asked))
    except (ActionError, ValueError) as wrong:
        return await _page(visit, typed, error=str(wrong), status=422)


@router.post("/policy/simulate")
async def show_with_message(request: Request, visit: Visit = visiting(Right.READ_MAIL)) -> Response:
    """The same for a message that is handed in, which content then judges."""
    visit.desk.must_see_all("the policy")
    # Not by the endpoint's parameters: a body is read only once it is known who sends it.
    given = {name: value for name, value in (await request.form()).items() if name not in (_FILE, CSRF_FIELD)}
    try:
        typed = Typed.model_validate(given)
    except ValidationError as error:
        return await _page(visit, Typed(), error=explain(error), status=422)
    try:
        message = await message_of_form(request, _FILE)
        if message is None:
            return await _page(visit, typed, await simulate_message(visit.desk, typed.asked))
        with turns_of(request).taken(visit.caller.user or visit.caller.name, visit.now):
            return await _page(visit, typed, await try_message(visit.desk, typed.asked, message))
    except ActionError as wrong:
        return await _page(visit, typed, error=str(wrong), status=wrong.status)
    except ValueError as wrong:
        return await _page(visit, typed, error=str(wrong), status=422)


async def _page(
    visit: Visit, typed: Typed, found: Simulated | None = None, *, error: str = "", status: int = 200
) -> Response:
    held = await policy_now(visit.desk)
    return visit.page(
        "policy/simulate.html",
        status_code=status,
        held=held,
        listeners=[(one, one) for one in (held.entry.policy().listeners if held else {})],
        found=found,
        error=error,
        asked=typed,
    )
