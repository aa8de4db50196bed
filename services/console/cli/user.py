"""`gatepost user list | show | add | change | disable | enable | remove | reset | logout | first`."""

from typing import Annotated

import typer

from services.console.answers.users import Ended, Invited, User
from services.console.cli.api import Nothing, part
from services.console.cli.frame import ask, out, plain, run, say, say_json, table, when
from services.console.identity.rights import Role

app = typer.Typer(no_args_is_help=True, help="Who may log in to the console, with which rights.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name, usually a mail address.")]
RoleOption = Annotated[Role, typer.Option(help="What the user may do.")]
Domains = Annotated[
    list[str] | None,
    typer.Option("--domain", help="Of a domain manager or a viewer: only this domain. May be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_users(as_json: Json = False) -> None:
    """List the users."""
    found = ask(lambda api: api.get("/users", list[User]))
    if as_json:
        say_json([_row(user) for user in found])
        return
    if not found:
        say("There are no users: gatepost user first makes a link for the first administrator.")
        return
    shown = table("name", "role", "domains", "state", "second factor", "browsers", "tokens")
    for user in found:
        cells = (user.name, user.role.value, _domains(user), _state(user), _factor(user), user.sessions, user.tokens)
        shown.add_row(*map(plain, cells))
    out().print(shown)


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a user."""
    user = ask(lambda api: api.get(f"/users/{part(name)}", User))
    if as_json:
        say_json(_row(user))
        return
    say(f"{user.name}: {user.role.value} of {_domains(user)}, {_state(user)}")
    say(f"second factor: {_factor(user)}; browsers logged in: {user.sessions}; tokens: {user.tokens}")
    say(f"added {when(user.made_at)}, changed {when(user.changed_at)} UTC")


@app.command()
def add(name: Name, role: RoleOption, domain: Domains = None) -> None:
    """Add a user, and print the link by which a password is set: once, within seven days."""
    new = {"name": name, "role": role, "domains": domain or None}
    _say_link(ask(lambda api: api.post("/users", Invited, new)))


@app.command()
def change(name: Name, role: RoleOption, domain: Domains = None) -> None:
    """Give a user another role and other domains."""
    rights = {"role": role, "domains": domain or None}
    user = ask(lambda api: api.put(f"/users/{part(name)}/rights", User, rights))
    say(f"{user.name} is {user.role.value} of {_domains(user)}.")


@app.command()
def disable(name: Name) -> None:
    """Shut a user out; browsers are logged out, tokens are refused."""
    user = ask(lambda api: api.post(f"/users/{part(name)}/disable", User))
    say(f"{user.name} is shut out.")


@app.command()
def enable(name: Name) -> None:
    """Let a user in again."""
    user = ask(lambda api: api.post(f"/users/{part(name)}/enable", User))
    say(f"{user.name} may log in.")


@app.command()
def remove(name: Name) -> None:
    """Remove a user, with tokens and keys. What they did stays in the audit."""
    ask(lambda api: api.delete(f"/users/{part(name)}", Nothing))
    say(f"{name} is removed.")


@app.command()
def reset(
    name: Name,
    second_factor: Annotated[
        bool, typer.Option("--second-factor", help="Take the authenticator app and the passkeys away instead.")
    ] = False,
) -> None:
    """Print a link by which a user sets a new password; or take the second factor away."""
    if second_factor:
        user = ask(lambda api: api.delete(f"/users/{part(name)}/second-factor", User))
        say(f"{user.name} logs in by password alone, and should set up a new second factor.")
        return
    _say_link(ask(lambda api: api.post(f"/users/{part(name)}/invitation", Invited)))


@app.command()
def logout(name: Name) -> None:
    """Log a user out everywhere."""
    done = ask(lambda api: api.delete(f"/users/{part(name)}/sessions", Ended))
    say(f"{done.ended} browsers of {name} are logged out.")


@app.command()
def first() -> None:
    """Print a link for the first administrator, on the console's own host alone; it ends the older ones."""
    from services.console.actions.users import invite_first  # noqa: PLC0415

    made = run(invite_first)
    say(f"The first administrator comes in here, once, until {when(made.ends_at)} UTC:")
    say(made.link)


def _say_link(made: Invited) -> None:
    say(f"{made.name} sets a password here, once, until {when(made.ends_at)} UTC; give the link to them alone:")
    say(made.link)


def _row(user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "role": user.role.value,
        "domains": user.domains,
        "state": _state(user),
        "totp": user.totp,
        "passkeys": user.passkeys,
        "sessions": user.sessions,
        "tokens": user.tokens,
        "made_at": user.made_at,
        "changed_at": user.changed_at,
    }


def _state(user: User) -> str:
    if user.disabled:
        return "shut out"
    return "invited" if user.invited else "active"


def _domains(user: User) -> str:
    return "all" if user.domains is None else ", ".join(user.domains)


def _factor(user: User) -> str:
    parts = ["app"] if user.totp else []
    if user.passkeys:
        parts.append(f"{user.passkeys} passkeys" if user.passkeys > 1 else "1 passkey")
    return ", ".join(parts) or "none"
