"""`gatepost account add | list | remove | log-ins | braked | unbrake`."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from services.console.answers.accounts import Braked, Listed, LogIn, Made
from services.console.cli.api import Nothing, part
from services.console.cli.frame import ask, out, plain, say, say_json, table, when
from services.console.story.told import span
from services.console.web.cursor import Page

app = typer.Typer(no_args_is_help=True, help="Logins that may send mail through the submission listeners.")
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
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
    elsewhere: Annotated[
        bool,
        typer.Option("--elsewhere", help="Without a password here: the LDAP directory or Kerberos knows who it is."),
    ] = False,
    cram_md5: Annotated[
        bool,
        typer.Option("--cram-md5", help="Keep the password itself, too, which CRAM-MD5 needs and nothing else does."),
    ] = False,
) -> None:
    """Add an account; edge knows it within a second."""
    password = None if elsewhere else _password(password_stdin)
    new = {
        "login": login,
        "password": password,
        "elsewhere": elsewhere,
        "senders": sender or [],
        "replace": replace,
        "cram_md5": cram_md5,
    }
    made = ask(lambda api: api.post("/accounts", Made, new)).account
    say(f"{made.login} may send as {', '.join(made.senders or (made.login,))}.")
    if made.cram_md5:
        say(
            "Warning: this password is now kept as it is, in the database and by every edge; whoever reads it there "
            "can use it. SCRAM-SHA-256 needs no such thing.",
            style="yellow",
        )


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


@app.command("list")
def list_accounts(as_json: Json = False) -> None:
    """List the accounts."""
    found = ask(lambda api: api.get("/accounts", list[Listed]))
    if as_json:
        say_json([asdict(account) for account in found])
        return
    if not found:
        say("There are no accounts.")
        return
    shown = table("login", "may send as", "since (UTC)", "")
    for account in found:
        senders = ", ".join(account.senders) or account.login
        shown.add_row(*map(plain, (account.login, senders, when(account.created_at))), ", ".join(_notes(account)))
    out().print(shown)


def _notes(account: Listed) -> list[str]:
    notes = {"disabled": account.disabled, "password elsewhere": account.elsewhere, "CRAM-MD5": account.cram_md5}
    return [note for note, holds in notes.items() if holds]


@app.command()
def remove(login: Login) -> None:
    """Remove an account."""
    ask(lambda api: api.delete(f"/accounts/{part(login)}", Nothing))
    say(f"{login} is removed.")


@app.command("log-ins")
def log_ins(
    address: Annotated[str, typer.Option(help="From this IP address.")] = "",
    login: Annotated[str, typer.Option(help="Of this account.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Say who logged in from an address, or whence an account did, and what they sent."""
    if bool(address) == bool(login):
        raise typer.BadParameter("give one of --address and --login", param_hint="--address")
    found = ask(lambda api: api.pages("/log-ins", Page[LogIn], limit, address=address, login=login))
    if as_json:
        say_json([asdict(one) for one in found])
        return
    if not found:
        say("The trace knows of none: a log-in by which nothing was sent leaves nothing there.")
        return
    shown = table("time (UTC)", "login", "from", "sender", "recipients", "subject", "what became of it", "id")
    for one in found:
        became = one.refused or one.state
        texts = (
            when(one.at),
            one.login,
            one.address,
            one.sender,
            ", ".join(one.recipients),
            one.subject,
            became,
            one.id,
        )
        shown.add_row(*map(plain, texts))
    out().print(shown)


@app.command()
def braked(as_json: Json = False) -> None:
    """List the accounts whose mail is held back because they sent too much spam."""
    found = ask(lambda api: api.get("/brakes", list[Braked]))
    if as_json:
        say_json([asdict(one) for one in found])
        return
    if not found:
        say("No account is held back.")
        return
    shown = table("login", "for another", "the message that was too much")
    for one in found:
        shown.add_row(*map(plain, (one.login, span(one.left_s), one.message_id)))
    out().print(shown)


@app.command()
def unbrake(login: Login) -> None:
    """Let an account's mail pass again, once its password is changed or its machine is clean."""
    ask(lambda api: api.delete(f"/brakes/{part(login)}", Nothing))
    say(f"The mail of {login} passes again.")
