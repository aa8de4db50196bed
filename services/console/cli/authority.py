"""`gatepost topology ca init|issue|list`: certificates for AMQPS between the hosts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from services.console.cli.frame import fail, say

app = typer.Typer(no_args_is_help=True, help="The gateway's own authority: certificates between its hosts.")
_FOLDER = Path("/etc/gatepost/ca")
_SHARED = Path("/etc/gatepost/shared")
Folder = Annotated[Path, typer.Option(help="Where the authority lies; for root alone.")]


@app.command()
def init(folder: Folder = _FOLDER) -> None:
    """Make an authority; where there is one, it stays."""
    from services.console.authority import Authority  # noqa: PLC0415

    was_there = Authority.is_in(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = Authority(folder).issued()[0]
    except (OSError, ValueError, TypeError) as error:
        fail(str(error))
    say(f"{folder}: {'it stays' if was_there else 'made'}; it lasts until {own.ends:%Y-%m-%d}")


@app.command()
def issue(
    host: Annotated[list[str], typer.Argument(help="The host's name, and further names and addresses of it.")],
    *,
    service: Annotated[list[str], typer.Option(help="A service that runs there; may be given several times.")],
    folder: Folder = _FOLDER,
    shared: Annotated[Path, typer.Option(help="What `make install` wrote on the broker's host.")] = _SHARED,
    output: Annotated[Path | None, typer.Option(help="Where the bundle goes; else HOST.tar here.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Renew the certificate, however long it lasts.")] = False,
) -> None:
    """Write a bundle: all that a host needs to join. The same command renews, from 30 days before the end on."""
    from services.console.authority import Authority  # noqa: PLC0415
    from services.console.host_bundle import BundleError, bundle_files, write_bundle  # noqa: PLC0415

    if not Authority.is_in(folder):
        fail(f"{folder} holds no authority: gatepost topology ca init")
    for name in host:
        if not name or not all(letter.isalnum() or letter in "-.:" for letter in name) or name.startswith((".", "-")):
            fail(f"{name!r} is neither a host name nor an address")
    path = output or Path(f"{host[0]}.tar")
    try:
        authority = Authority(folder)
        write_bundle(path, bundle_files(authority, shared, host, service, anew=anew))
        ends = next(issued.ends for issued in authority.issued() if issued.label == host[0])
    except (BundleError, OSError, ValueError, TypeError) as error:
        fail(str(error))
    say(f"{path}: for {', '.join(service)} on {host[0]}; the certificate lasts until {ends:%Y-%m-%d}")
    say(f'It holds secrets. Carry it there (scp), then: make install SERVICES="{" ".join(service)}" BUNDLE={path.name}')


@app.command("list")
def show(folder: Folder = _FOLDER) -> None:
    """Show what was issued and until when it lasts; ends with 1 where something ends within 30 days."""
    from services.console.authority import RENEW_BEFORE, Authority  # noqa: PLC0415

    if not Authority.is_in(folder):
        fail(f"{folder} holds no authority: gatepost topology ca init")
    soon = False
    try:
        issued = Authority(folder).issued()
    except (OSError, ValueError, TypeError) as error:
        fail(str(error))
    for one in issued:
        is_due = one.ends - datetime.now(UTC) <= RENEW_BEFORE
        soon = soon or is_due
        note = "  renew it: gatepost topology ca issue" if is_due else ""
        say(f"{one.label}  until {one.ends:%Y-%m-%d}  {' '.join(one.names)}{note}", "yellow" if is_due else "")
    if soon:
        raise typer.Exit(1)
