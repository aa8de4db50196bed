"""What a message would meet today."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.console.actions.desk import Desk
from services.console.actions.simulate import Simulated, simulate_message
from services.console.actions.trials import try_message
from services.console.identity.rights import Right
from services.console.simulate import Asked
from services.console.web.api.policy import TEXT_LIMIT
from services.console.web.message_body import DESCRIBED, message_of_body
from services.console.web.turns import turns_of
from services.console.web.who import at_desk, backstage_of

router = APIRouter(tags=["policy"])
Text = Annotated[str, Field(max_length=320)]
Word = Annotated[str, Query(max_length=320)]


class Message(BaseModel):
    """What SMTP would say. text: a policy document to ask in the place of the one in force."""

    model_config = ConfigDict(extra="forbid")
    client: str = Field(min_length=1, max_length=64)
    listener: str = Field("mx", max_length=100)
    sender: Text = ""
    recipients: list[Text] = Field(min_length=1, max_length=100)
    helo: str = Field("", max_length=255)
    name: str | None = Field(None, max_length=255)
    tls: bool = False
    login: Text | None = None
    size_bytes: int = Field(0, ge=0, le=2**31 - 1)
    text: str | None = Field(None, max_length=TEXT_LIMIT)


@router.post("/simulate")
async def simulate(message: Message, desk: Desk = at_desk(Right.SEE)) -> Simulated:
    """Say what a message would meet, step by step, and what cannot be said beforehand."""
    asked = Asked(
        client=message.client,
        listener=message.listener,
        sender=message.sender,
        recipients=tuple(message.recipients),
        helo=message.helo,
        name=message.name,
        tls=message.tls,
        login=message.login or None,
        size_bytes=message.size_bytes,
    )
    return await simulate_message(desk, asked, message.text)


@router.post("/simulate/message", openapi_extra=DESCRIBED)
async def simulate_with_message(
    request: Request,
    *,
    desk: Desk = at_desk(Right.READ_MAIL),
    client: Annotated[str, Query(min_length=1, max_length=64)],
    recipients: Annotated[list[Word], Query(min_length=1, max_length=100)],
    listener: Annotated[str, Query(max_length=100)] = "mx",
    sender: Word = "",
    helo: Annotated[str, Query(max_length=255)] = "",
    name: Annotated[str | None, Query(max_length=255)] = None,
    tls: bool = False,
    login: Word | None = None,
) -> Simulated:
    """Say what the message in the body would meet, content's checks included; it is delivered to nobody."""
    desk.must_see_all("what a message would meet")
    asked = Asked(
        client=client,
        listener=listener,
        sender=sender,
        recipients=tuple(recipients),
        helo=helo,
        name=name,
        tls=tls,
        login=login or None,
    )
    with turns_of(request).taken(desk.caller.user or desk.who, backstage_of(request).clock()):
        return await try_message(desk, asked, await message_of_body(request))
