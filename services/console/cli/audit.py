"""`gatepost audit`: who did what, when, from where."""

import dataclasses
from typing import Annotated

import typer

from services.console.actions.errors import ActionError
from services.console.answers.audit import AuditEntry
from services.console.cli.frame import ask, fail, out, plain, say, say_json, table, when
from services.console.web.cursor import Page
from services.console.web.moments import read_moment

_MOST = 10_000


def show(
    who: Annotated[str, typer.Option(help="A part of who did it.")] = "",
    action: Annotated[str, typer.Option(help="The beginning of what was done, as `policy`, `log-in failed`.")] = "",
    target: Annotated[str, typer.Option(help="A part of what it was done to.")] = "",
    address: Annotated[str, typer.Option(help="The beginning of the address it came from.")] = "",
    since: Annotated[str, typer.Option(help='"2026-11-24" or "2026-11-24 10:30", UTC.')] = "",
    until: Annotated[str, typer.Option(help="The same; before it.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="At most so many, the newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show who did what, when, from where: the newest first."""
    try:
        after, before = read_moment(since), read_moment(until)
    except ActionError as error:
        fail(str(error), code=2)
    wanted = {"who": who, "action": action, "target": target, "address": address, "since": after, "until": before}
    found = ask(lambda api: api.pages("/audit", Page[AuditEntry], limit, **wanted))
    if as_json:
        say_json([dataclasses.asdict(entry) for entry in found])
        return
    if not found:
        say("Nothing of that kind.")
        return
    shown = table("time (UTC)", "who", "from", "what", "to what", "more")
    for entry in found:
        more = ", ".join(
            f"{name}: {value}" for name, value in entry.details.items() if value is not None and value != ""
        )
        cells = (when(entry.at), entry.who, entry.address or "this host", entry.action, entry.target, more)
        shown.add_row(*map(plain, cells))
    out().print(shown)
