"""`gatepost login | logout | whoami`: which console the command speaks to, and as whom."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr, ValidationError

from services.console.actions.errors import ActionError
from services.console.cli.api import Api, open_api
from services.console.cli.frame import ask, fail, say
from services.console.cli.target import Target, target_file, write_target
from services.console.identity.rights import RIGHTS, Right, Role
from shared.errors import SettingsError
from shared.explain import explain


@dataclass(frozen=True, slots=True)
class Me:
    """Who the command is to the console; the API tells more."""

    name: str
    role: Role
    domains: list[str] | None


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="The console, as in https://console.example.org:8443.")],
    ca_file: Annotated[
        Path | None, typer.Option(help="The authority of its certificate (PEM), where that is none of the system's.")
    ] = None,
) -> None:
    """Have the following commands speak to a console elsewhere, by a token that was made on its page `/me`."""
    token = typer.prompt("Token", hide_input=True)
    try:
        target = Target(url=url.rstrip("/"), token=SecretStr(token.strip()), ca_file=ca_file)
    except ValidationError as error:
        fail(explain(error), code=2)

    async def check() -> Me:
        async with open_api(target, None) as api:
            return await _me(api)

    try:
        me = asyncio.run(check())
        file = write_target(target)
    except (ActionError, SettingsError) as error:
        fail(str(error))
    say(f"{_who(me)} at {target.url}; kept in {file}.")


def logout() -> None:
    """Forget the console elsewhere. Its token stays valid until it ends, or is ended on its page `/me`."""
    file = target_file()
    if not file.exists():
        fail("there is no log-in to forget")
    file.unlink()
    say(f"{file} is removed.")


def whoami() -> None:
    """Say which console the command speaks to, and as whom."""
    say(_who(ask(_me)))


async def changes_users(api: Api) -> bool:
    """Whether who asks may see, and end, what lets others in."""
    me = await _me(api)
    return Right.USERS in RIGHTS[me.role] and me.domains is None


async def _me(api: Api) -> Me:
    return await api.get("/me", Me)


def _who(me: Me) -> str:
    domains = f", for {', '.join(sorted(me.domains))}" if me.domains is not None else ""
    return f"{me.name}, {me.role}{domains}"
