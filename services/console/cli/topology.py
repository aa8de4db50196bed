"""`gatepost topology apply`, and `gatepost topology ca` for certificates between hosts."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.console.actions.errors import ActionError
from services.console.cli import authority
from services.console.cli.frame import fail, say, settings_here

if TYPE_CHECKING:
    from services.console.settings import ConsoleSettings

app = typer.Typer(no_args_is_help=True, help="Exchanges, queues, users and rights in RabbitMQ; certificates.")
app.add_typer(authority.app, name="ca")


@app.command()
def apply(
    settings_folder: Annotated[
        Path | None, typer.Option(help="Where the services' settings lie, for their broker passwords.")
    ] = None,
) -> None:
    """Declare all that is missing in the broker; ends with 1 if something there differs and cannot be changed."""
    from services.console.actions.topology import apply_topology  # noqa: PLC0415

    settings, path = settings_here()
    try:
        differences = asyncio.run(apply_topology(settings, settings_folder or _beside(path)))
        _admit_monitor(settings)
    except ActionError as error:
        fail(str(error))
    try:
        asyncio.run(_note(settings, differences))
    except ActionError as error:  # the database may come later than the broker
        say(f"This stands in no audit: {error}", "yellow")
    if differences:
        fail("\n".join(["the broker differs:", *(f"  {difference}" for difference in differences)]))
    say("The topology is as this version wants it.")


def _beside(path: Path) -> Path:
    """Return where the services' passwords lie: `make install` writes those of all hosts into shared/ (root's)."""
    shared = path.parent / "shared"
    return shared if shared.is_dir() else path.parent


def _admit_monitor(settings: "ConsoleSettings") -> None:
    """Have the user of [management] see queue depths, where it is not the administrator itself. Raises ActionError."""
    from services.console.actions.topology import admin_broker, as_broker  # noqa: PLC0415
    from services.console.installer import add_monitor  # noqa: PLC0415
    from services.console.management import ManagementError  # noqa: PLC0415

    monitor, _ = as_broker(settings)
    admin, url = admin_broker(settings)
    if monitor.user == admin.user:
        return
    try:
        add_monitor(admin, url, monitor)
    except ManagementError as error:
        raise ActionError(str(error)) from None


async def _note(settings: "ConsoleSettings", differences: tuple[str, ...]) -> None:
    from services.console.actions.desk import open_desk, os_user  # noqa: PLC0415

    async with open_desk(settings, os_user()) as desk, desk.database.writing() as connection:
        await desk.note(connection, "topology apply", settings.broker.host, differences=differences)
