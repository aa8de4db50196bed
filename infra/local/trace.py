"""The story of an id, once it has come to its end (I/O: SQL, and the command `gatepost trace`).

On failure: TraceMissing with what is known so far.
"""

import asyncio
import os
import subprocess
import sys

from infra.local.layout import REPOSITORY, Layout
from services.console.actions.desk import ActionError, Desk, open_desk
from services.console.actions.trace import trace
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
    command = [sys.executable, "-m", "services.console.cli.main", "trace", message_id]
    environment = {**os.environ, FILE_VARIABLE: str(settings), "COLUMNS": "140"}
    shown = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    return shown.stdout + shown.stderr


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
