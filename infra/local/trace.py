"""The story of an id as `gatepost trace` tells it (I/O: runs the command).

On failure: TraceMissing with what the command said last.
"""

import json
import os
import subprocess
import sys
import time

from infra.local.layout import REPOSITORY, Layout
from shared.settings import FILE_VARIABLE

_WITHIN_S = 30.0
_POLL_S = 0.3


class TraceMissing(Exception):
    """A trace that did not come to its end in time."""


def traced(layout: Layout, message_id: str, ends_with: str) -> str:
    """Return the story for people once it has an event of this kind. Raises TraceMissing."""
    give_up_at = time.monotonic() + _WITHIN_S
    while ends_with not in _kinds(asked := _gatepost(layout, "trace", message_id, "--json")):
        # Events reach the recorder in batches, a moment after the mail.
        if time.monotonic() > give_up_at:
            raise TraceMissing(f"gatepost trace {message_id} has no {ends_with!r}: {asked.stdout}{asked.stderr}")
        time.sleep(_POLL_S)
    return _gatepost(layout, "trace", message_id).stdout


def _kinds(asked: "subprocess.CompletedProcess[str]") -> set[str]:
    if asked.returncode:
        return set()
    return {event["kind"] for event in json.loads(asked.stdout)["events"]}


def _gatepost(layout: Layout, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.console.cli.main", *arguments]
    environment = {**os.environ, FILE_VARIABLE: str(layout.settings_file("console")), "COLUMNS": "140"}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
