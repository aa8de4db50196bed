"""What every command shares: settings, the event loop, printing, exit codes (I/O).

Exit codes: 0 done, 1 not found or not done, 2 wrongly called (typer's own, and settings that cannot be used).
Printing: everything goes through `say` and `plain`, so that no mail can move the cursor or be taken for markup.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from services.console.actions.errors import ActionError
from services.console.cli.api import Api, open_api
from services.console.cli.target import read_target
from services.console.story.told import moment
from shared.errors import SettingsError
from shared.logs import escape

if TYPE_CHECKING:
    from services.console.actions.desk import Desk
    from services.console.settings import ConsoleSettings

Result = TypeVar("Result")
Thing = TypeVar("Thing")
_PIPE_WIDTH = 220


def run(action: Callable[["Desk"], Awaitable[Result]], *, migrate: bool = True) -> Result:
    """Run an action on an open desk and return what it returns; failures end the command with their text."""
    # Imported here: a command that speaks to a console elsewhere needs no database and no broker.
    from services.console.actions.desk import open_desk, os_user  # noqa: PLC0415

    settings, _ = settings_here()

    async def at_desk() -> Result:
        async with open_desk(settings, os_user(), migrate=migrate) as desk:
            return await action(desk)

    try:
        return asyncio.run(at_desk())
    except (ActionError, SettingsError) as error:
        fail(str(error))


def ask(question: Callable[[Api], Awaitable[Result]]) -> Result:
    """Ask the API: of the console that the user has logged in to, else of the one whose settings are here."""
    try:
        target = read_target()
    except SettingsError as error:
        fail(str(error), code=2)
    settings = None if target is not None else settings_here()[0]

    async def asked() -> Result:
        async with open_api(target, settings) as api:
            return await question(api)

    try:
        return asyncio.run(asked())
    except (ActionError, SettingsError) as error:
        fail(str(error))


def settings_here() -> tuple["ConsoleSettings", Path]:
    """Return the settings and their file, or end the command with 2."""
    from services.console.settings import load_console_settings, settings_path  # noqa: PLC0415

    _silence()
    try:
        return load_console_settings(), settings_path()
    except SettingsError as error:
        fail(str(error), code=2)


def _silence() -> None:
    """Keep the log lines of the broker link away: the command says itself, in one line, what went wrong."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False
    )
    for noisy in ("aiormq", "aio_pika"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def fail(text: str, code: int = 1) -> NoReturn:
    """End the command with a text on standard error."""
    Console(stderr=True, soft_wrap=True).print(Text(f"gatepost: {_escape_lines(text)}"), style="red")
    raise typer.Exit(code)


def out() -> Console:
    """Return standard output; wide where it is a pipe, so that nothing is cut for a reader that is a program."""
    console = Console(highlight=False)
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=_PIPE_WIDTH)


def say(text: str, style: str = "") -> None:
    """Print lines, whatever a stranger put into them."""
    out().print(Text(_escape_lines(text), style=style), soft_wrap=True)


def say_document(text: str) -> None:
    """Print a document, or a difference of two: as it is for a program, and without what moves it for a terminal."""
    if sys.stdout.isatty():
        text = "\t".join(map(_escape_lines, text.split("\t")))
    sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")


def say_octets(octets: bytes) -> None:
    """Write what a stranger sent as it is, for a file or a program."""
    if sys.stdout.isatty():
        fail("these octets are a stranger's, and a terminal would obey them: write them to a file, as in `… > FILE`", 2)
    sys.stdout.buffer.write(octets)


def say_json(value: object) -> None:
    """Print a value as JSON for programs. Of what moves a terminal, JSON lets DEL alone stand (RFC 8259 §7)."""
    sys.stdout.write(json.dumps(value, indent=2, default=str).replace("\x7f", "\\u007f") + "\n")


def steps(things: Sequence[Thing], doing: str) -> Iterator[Thing]:
    """Yield things one by one, with a bar on standard error where somebody looks on and there are several."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True,
        disable=len(things) < 2 or not console.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task(doing, total=len(things))
        for thing in things:
            yield thing
            progress.advance(task)


def table(*headings: str) -> Table:
    """Return an empty table in the house's form."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def plain(value: object) -> Text:
    """Return any text for a table cell: nothing in it is markup or moves the cursor."""
    return Text("" if value is None else escape(str(value)))


def _escape_lines(text: str) -> str:
    return "\n".join(map(escape, text.split("\n")))


def when(at: float) -> str:
    """Return a time for people, UTC."""
    return moment(at).removesuffix(" UTC")
