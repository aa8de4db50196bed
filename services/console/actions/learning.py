"""Teaching the antispam engine what quarantined mail is (I/O: SQL, Rspamd's controller or spamd).

The engine is fed the exact bytes that are held, each different message once; then the audit and the trace are told.
On failure: ActionError; nothing is noted then. Should the database fail after the engine has learned, asking again
says that it was learned before.
"""

import asyncio
from typing import assert_never

from aiospamc.header_values import ActionOption, MessageClassOption, MessageClassValue, SetOrRemoveValue

from services.console.actions import quarantine
from services.console.actions.desk import ActionError, Desk
from services.console.actions.quarantine import Held
from services.console.actions.rspamd_controller import RspamdController
from services.console.answers.quarantine import Class
from services.console.settings import LearningSettings
from shared.event import EventKind
from shared.spamc import SpamdError, ask_spamd

__all__ = ["Class", "learn"]

_DEADLINE_S = 20.0


async def learn(desk: Desk, message_id: str, kind: Class, part: str | None = None, why: str = "") -> list[Held]:
    """Teach the engine the copies of an id, held or released, and return them. Raises ActionError.

    why: as it stands in the audit. Who is in charge of single domains teaches with copies for them alone.
    """
    settings = desk.settings.antispam
    if settings is None:
        raise ActionError(
            "the settings do not say which engine learns: name it in the section [antispam] of console.toml"
        )
    copies = [copy for copy in await quarantine.find_to_decide(desk, message_id, part) if copy.message]
    if not copies:
        raise ActionError(f"{message_id} was deleted, so there is nothing to learn from")
    for message in {copy.message: None for copy in copies}:
        await _teach(settings, message, kind)
    async with desk.database.writing() as connection:
        for copy in copies:
            await desk.tell(connection, copy.id, EventKind.LEARNED, {"as": kind.value, "by": desk.who})
            await desk.note(connection, "quarantine learn", copy.id, part=copy.part, learned_as=kind.value, reason=why)
    return copies


async def _teach(settings: LearningSettings, message: bytes, kind: Class) -> None:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            match settings.engine:
                case "rspamd":
                    password = settings.password.get_secret_value() if settings.password else ""
                    await RspamdController(settings.address, password).learn(message, kind.value)
                case "spamd":
                    await _teach_spamd(settings.address, message, kind)
                case _:
                    assert_never(settings.engine)
    except TimeoutError:
        raise ActionError(f"{settings.engine} at {settings.address} gave no answer in {_DEADLINE_S:g} s") from None


async def _teach_spamd(address: str, message: bytes, kind: Class) -> None:
    fields = {
        "Message-class": MessageClassValue(MessageClassOption(kind.value)),
        "Set": SetOrRemoveValue(ActionOption(local=True, remote=False)),
    }
    try:
        answer = await ask_spamd(address, "TELL", message, fields)
    except SpamdError as error:
        raise ActionError(f"{error}; spamd learns only if it was started with --allow-tell") from None
    if "DidSet" not in answer.fields:
        raise ActionError(f"SpamAssassin learned nothing new: it knows it as {kind.value}, or it has too few words")
