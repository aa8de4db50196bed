"""`gatepost account add | list | remove`."""

import sys
from typing import Annotated

import typer

from services.console.actions import accounts
from services.console.cli.frame import out, plain, run, say, table, when

app = typer.Typer(no_args_is_help=True, help="Logins that may send mail through the submission listeners.")
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="Usually the mail address.")]


@app.command()
def add(
    login: Login,
    sender: Annotated[
        list[str] | None,
        typer.Option(help="An address, or @domain, it may send as; else its own login. May be repeated."),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input, without asking.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give an existing account this password and these senders.")
    ] = False,
) -> None:
    """Add an account; edge knows it within a second."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    made = run(lambda desk: accounts.add_account(desk, login, password, sender or (), replace=replace))
    say(f"{made.login} may send as {', '.join(made.senders or (made.login,))}.")


@app.command("list")
def list_accounts() -> None:
    """List the accounts."""
    found = run(accounts.list_accounts)
    if not found:
        say("There are no accounts.")
        return
    shown = table("login", "may send as", "since (UTC)", "")
    for account in found:
        senders = ", ".join(account.senders) or account.login
        shown.add_row(
            *map(plain, (account.login, senders, when(account.created_at))), "disabled" if account.disabled else ""
        )
    out().print(shown)


@app.command()
def remove(login: Login) -> None:
    """Remove an account."""
    run(lambda desk: accounts.remove_account(desk, login))
    say(f"{login} is removed.")
