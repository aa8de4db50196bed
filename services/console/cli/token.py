"""`gatepost token list | add | remove`."""

import dataclasses
from typing import Annotated

import typer

from services.console.answers.tokens import LONGEST_DAYS, NewToken, Token
from services.console.cli.api import Api, Nothing, part
from services.console.cli.frame import ask, out, plain, say, say_json, table, when
from services.console.cli.login import changes_users
from services.console.identity.rights import Role

app = typer.Typer(no_args_is_help=True, help="Tokens by which programs use the API.")


@app.command("list")
def list_tokens(
    user: Annotated[str, typer.Option(help="Only those of this user.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the tokens."""

    async def find(api: Api) -> list[Token]:
        whose = user.strip().lower()
        of_all = not whose and await changes_users(api)
        return await api.get("/tokens", list[Token], user=whose or None, of_all=of_all)

    found = ask(find)
    if as_json:
        say_json([dataclasses.asdict(token) for token in found])
        return
    if not found:
        say("There are no tokens.")
        return
    shown = table("id", "user", "for", "role", "domains", "ends (UTC)", "last used (UTC)", "from")
    for token in found:
        domains = "all" if token.domains is None else ", ".join(token.domains)
        used = when(token.used_at) if token.used_at is not None else "never"
        cells = (
            token.id,
            token.user,
            token.label,
            token.role.value,
            domains,
            when(token.ends_at),
            used,
            token.used_from,
        )
        shown.add_row(*map(plain, cells))
    out().print(shown)


@app.command()
def add(
    label: Annotated[str, typer.Option("--for", help="Which program it is for.")],
    role: Annotated[Role, typer.Option(help="What the token may do.")],
    domain: Annotated[list[str] | None, typer.Option(help="Only this domain. May be repeated.")] = None,
    days: Annotated[int, typer.Option(min=1, max=LONGEST_DAYS, help="Until it ends.")] = 90,
    user: Annotated[
        str,
        typer.Option(help="Whose it is, on the console's own host; elsewhere your own. It never may more than they."),
    ] = "",
) -> None:
    """Make a token and print it, once."""
    wanted = {"label": label, "role": role, "domains": domain or None, "days": days, "user": user}
    made = ask(lambda api: api.post("/tokens", NewToken, wanted))
    say(made.token)


@app.command()
def remove(token: Annotated[str, typer.Argument(metavar="ID", help="As `gatepost token list` shows it.")]) -> None:
    """Remove a token; its program is refused from then on."""
    ask(lambda api: api.delete(f"/tokens/{part(token)}", Nothing))
    say(f"The token {token} is removed.")
