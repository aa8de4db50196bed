"""`gatepost topology apply`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services.console.actions.desk import ActionError, open_desk, os_user
from services.console.actions.topology import apply_topology
from services.console.cli.frame import fail, say, settings_here
from services.console.settings import ConsoleSettings

app = typer.Typer(no_args_is_help=True, help="Exchanges, queues, users and rights in RabbitMQ.")


@app.callback()
def _group() -> None:
    """Keep `apply` a command of its own; typer would make a single one the whole group."""


@app.command()
def apply(
    settings_folder: Annotated[
        Path | None, typer.Option(help="Where the services' settings lie, for their broker passwords.")
    ] = None,
) -> None:
    """Declare all that is missing in the broker; ends with 1 if something there differs and cannot be changed."""
    settings, path = settings_here()
    try:
        differences = asyncio.run(apply_topology(settings, settings_folder or path.parent))
    except ActionError as error:
        fail(str(error))
    try:
        asyncio.run(_note(settings, differences))
    except ActionError as error:  # the database may come later than the broker
        say(f"This stands in no audit: {error}", "yellow")
    if differences:
        fail("\n".join(["the broker differs:", *(f"  {difference}" for difference in differences)]))
    say("The topology is as this version wants it.")


async def _note(settings: ConsoleSettings, differences: tuple[str, ...]) -> None:
    async with open_desk(settings, os_user()) as desk, desk.database.writing() as connection:
        await desk.note(connection, "topology apply", settings.broker.host, differences=differences)
