"""`gatepost ban list | add | remove`."""

from dataclasses import asdict
from typing import Annotated

import typer

from services.console.actions.errors import ActionError
from services.console.answers.bans import Banned, Lifted, parse_length
from services.console.cli.frame import ask, out, plain, say, say_json, table, when
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
    found = ask(lambda api: api.get("/bans", list[Banned], limit=limit))
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
        length_s = parse_length(length)
    except ActionError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from None
    wanted = {"address": address, "length_s": length_s, "why": why}
    made = ask(lambda api: api.post("/bans", Banned, wanted))
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
    lifted = ask(lambda api: api.delete("/bans", Lifted, address=address, forget=forget))
    say(f"{lifted.subject} is not banned any more.")


def _facts(one: Banned) -> dict[str, object]:
    return {"address": one.subject, **asdict(one.ban), "left_s": round(one.left_s, 3)}
