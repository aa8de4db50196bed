"""What would this message meet today?"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.console.actions.desk import ActionError
from services.console.actions.policies import policy_now
from services.console.actions.simulate import simulate_message
from services.console.identity.rights import Right
from services.console.simulate import Asked, read_recipients
from services.console.web.who import Visit, visiting

router = APIRouter()
Word = Annotated[str, Query(max_length=320)]


@router.get("/policy/simulate")
async def show(
    *,
    visit: Visit = visiting(Right.SEE),
    client: Word = "",
    listener: Word = "mx",
    helo: Word = "",
    name: Word = "",
    sender: Word = "",
    recipients: Annotated[str, Query(max_length=20_000)] = "",
    size_kb: Annotated[int, Query(ge=0, le=2_000_000)] = 10,
    tls: bool = False,
    login: Word = "",
) -> Response:
    """Ask what a message is, and tell what it would meet."""
    visit.desk.must_see_all("the policy")
    held = await policy_now(visit.desk)
    found, error, status = None, "", 200
    if client.strip():
        try:
            asked = Asked(
                client=client.strip(),
                listener=listener,
                sender=sender.strip(),
                recipients=read_recipients(recipients),
                helo=helo.strip(),
                name=name.strip() or None,
                tls=tls,
                login=login.strip() or None,
                size_bytes=size_kb * 1000,
            )
            found = await simulate_message(visit.desk, asked)
        except (ActionError, ValueError) as wrong:
            error, status = str(wrong), 422
    return visit.page(
        "policy/simulate.html",
        status_code=status,
        held=held,
        listeners=[(one, one) for one in (held.entry.policy().listeners if held else {})],
        found=found,
        error=error,
        asked={
            "client": client,
            "listener": listener,
            "helo": helo,
            "name": name,
            "sender": sender,
            "recipients": recipients,
            "size_kb": size_kb,
            "tls": tls,
            "login": login,
        },
    )
