"""`gatepost ban list | add | remove`."""

from dataclasses import asdict
from typing import Annotated

import typer

from services.console.actions import bans
from services.console.actions.bans import Banned
from services.console.actions.desk import ActionError
from services.console.cli.frame import out, plain, run, say, say_json, table, when
from services.console.story.reasons import refusal
from services.console.story.told import span

app = typer.Typer(no_args_is_help=True, help="Client addresses that are kept out for a while.")
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An IPv4 address; an IPv6 address stands for its /64.")]


@app.command("list")
def list_bans(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, by address.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the bans in force."""
    found = run(lambda desk: bans.list_bans(desk, limit))
    if as_json:
        say_json([_facts(one) for one in found])
        return
    if not found:
        say("Nobody is banned.")
        return
    shown = table("address", "until (UTC)", "left", "count", "why")
    for one in found:
        ban = one.ban
        shown.add_row(
            *map(plain, (one.subject, when(ban.until), span(one.left_s), ban.count, refusal(ban.why).meaning))
        )
    out().print(shown)


@app.command()
def add(
    address: Address,
    length: Annotated[str, typer.Option("--for", metavar="LENGTH", help="As 90s, 15min, 12h or 7d.")] = "1d",
    why: Annotated[str, typer.Option(help="A word for the list and the audit.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Ban an address, or change the end of its ban; [bans] never and the relay networks are stronger."""
    try:
        length_s = bans.parse_length(length)
    except ActionError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from None
    made = run(lambda desk: bans.add_ban(desk, address, length_s, why))
    if as_json:
        say_json(_facts(made))
        return
    say(f"{made.subject} is banned until {when(made.ban.until)} UTC.")


@app.command()
def remove(
    address: Address,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget its earlier bans too, so that the next one is short.")
    ] = False,
) -> None:
    """Lift a ban; every edge lets the address in again within seconds."""
    subject = run(lambda desk: bans.remove_ban(desk, address, forget=forget))
    say(f"{subject} is not banned any more.")


def _facts(one: Banned) -> dict[str, object]:
    return {"address": one.subject, **asdict(one.ban), "left_s": round(one.left_s, 3)}
