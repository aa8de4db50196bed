"""`gatepost user list | show | add | change | disable | enable | remove | reset | sessions | logout | first`."""

import dataclasses
from typing import Annotated

import typer

from services.console.actions.errors import ActionError, NotFound
from services.console.answers.users import Browser, Ended, Invited, User
from services.console.cli.api import Api, Nothing, part
from services.console.cli.frame import ask, out, plain, run, say, say_json, table, when
from services.console.cli.login import changes_users
from services.console.identity.rights import Role

app = typer.Typer(no_args_is_help=True, help="Who may log in to the console, with which rights.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name, usually a mail address.")]
RoleOption = Annotated[Role, typer.Option(help="What the user may do.")]
Domains = Annotated[
    list[str] | None,
    typer.Option("--domain", help="Of a domain manager or a viewer: only this domain. May be repeated."),
]
_ID_SHOWN = 12
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
    codes = f", {user.recovery_codes} recovery codes left" if user.totp or user.passkeys else ""
    say(f"second factor: {_factor(user)}{codes}; browsers logged in: {user.sessions}; tokens: {user.tokens}")
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
        bool, typer.Option("--second-factor", help="Take app, passkeys and recovery codes away instead.")
    ] = False,
) -> None:
    """Print a link by which a user sets a new password; or take the second factor away."""
    if second_factor:
        user = ask(lambda api: api.delete(f"/users/{part(name)}/second-factor", User))
        say(f"{user.name} logs in by password alone, and should set up a new second factor.")
        return
    _say_link(ask(lambda api: api.post(f"/users/{part(name)}/invitation", Invited)))


@app.command()
def sessions(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only those of this user.", show_default=False)] = "",
    as_json: Json = False,
) -> None:
    """List the browsers that are logged in, the last seen first."""
    found = ask(lambda api: _sessions(api, name))
    if as_json:
        say_json([dataclasses.asdict(one) for one in found])
        return
    if not found:
        say("No browser is logged in.")
        return
    shown = table("id", "user", "from", "browser", "last proof (UTC)", "seen (UTC)", "ends (UTC)")
    for one in found:
        times = (when(at) for at in (one.since, one.seen_at, one.ends_at))
        shown.add_row(*map(plain, (one.id[:_ID_SHOWN], one.user, one.address, one.agent, *times)))
    out().print(shown)


@app.command()
def logout(
    name: Name,
    session: Annotated[
        str, typer.Option(metavar="ID", help="Only this browser; the id, or its beginning, is of `user sessions`.")
    ] = "",
) -> None:
    """Log a user out everywhere, or in one browser."""
    if session:
        ended = ask(lambda api: _end_one(api, name, session))
        say(f"{name} is logged out at {ended.address}.")
        return
    done = ask(lambda api: api.delete(f"/users/{part(name)}/sessions", Ended))
    say(f"{done.ended} browsers of {name} are logged out.")


@app.command()
def first() -> None:
    """Print a link for the first administrator, on the console's own host alone; it ends the older ones."""
    from services.console.actions.users import invite_first  # noqa: PLC0415

    made = run(invite_first)
    say(f"The first administrator comes in here, once, until {when(made.ends_at)} UTC:")
    say(made.link)


async def _sessions(api: Api, name: str) -> list[Browser]:
    of_all = not name and await changes_users(api)
    return await api.get("/sessions", list[Browser], user=name or None, of_all=of_all)


async def _end_one(api: Api, name: str, session: str) -> Browser:
    """End the session whose id begins so. Raises ActionError unless it is one."""
    found = [one for one in await _sessions(api, name) if one.id.startswith(session.lower())]
    if not found:
        raise NotFound(f"{name} has no such session: it may be over")
    if len(found) > 1:
        raise ActionError(f"{len(found)} sessions of {name} begin with {session}: give more of the id")
    await api.delete(f"/sessions/{part(found[0].id)}", Nothing)
    return found[0]


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
        "recovery_codes": user.recovery_codes,
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
