"""The story of an id, once it has come to its end (I/O: SQL; the command `gatepost trace`, in this process).

On failure: TraceMissing with what is known so far.
"""

import asyncio

import structlog
from typer.testing import CliRunner

from infra.local.layout import Layout
from services.console.actions.desk import ActionError, Desk, open_desk
from services.console.actions.trace import trace
from services.console.cli.main import app
from services.console.identity.rights import on_this_host
from services.console.settings import ConsoleSettings
from shared.settings import FILE_VARIABLE, load_settings

_WITHIN_S = 30.0
_POLL_S = 0.1


class TraceMissing(Exception):
    """A trace that did not come to its end in time."""


def traced(layout: Layout, message_id: str, ends_with: str) -> str:
    """Return what `gatepost trace` says once there is an event of this kind. Raises TraceMissing."""
    settings = layout.settings_file("console")
    kinds: set[str] = set()
    try:
        asyncio.run(_wait_for(load_settings(ConsoleSettings, settings, {}), message_id, ends_with, kinds))
    except TimeoutError:
        raise TraceMissing(f"{message_id} has no event {ends_with!r}, only {sorted(kinds)}") from None
    except ActionError as error:
        raise TraceMissing(str(error)) from None
    logs = structlog.get_config()
    try:
        # A process of its own would take longer to begin than this to end.
        shown = CliRunner().invoke(app, ["trace", message_id], env={FILE_VARIABLE: str(settings), "COLUMNS": "140"})
    finally:
        structlog.configure(**logs)
    return shown.output


async def _wait_for(settings: ConsoleSettings, message_id: str, kind: str, seen: set[str]) -> None:
    async with open_desk(settings, on_this_host("demo")) as desk, asyncio.timeout(_WITHIN_S):
        # Events reach the recorder in batches, a moment after the mail.
        while kind not in seen:
            seen |= await _kinds(desk, message_id)
            await asyncio.sleep(_POLL_S)


async def _kinds(desk: Desk, message_id: str) -> set[str]:
    try:
        return {event.kind for event in (await trace(desk, message_id)).events}
    except ActionError:  # nobody has told of it yet
        return set()
