"""A console that serves over TLS, and the command on another host."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from services.console.cli.main import app
from services.console.cli.target import VARIABLE
from services.console.identity.rights import Role
from services.console.web.app import create_app
from services.console.web.backstage import Backstage
from services.console.web.serve import WebServer
from tests.integration.console.site import Site


class Elsewhere:
    """A console that serves over TLS, and the command on another host."""

    def __init__(self, site: Site, port: int, folder: Path, certificate: Path) -> None:
        self.site = site
        self.url = f"https://localhost:{port}"
        self.certificate = certificate
        self.file = folder / "home" / "console.toml"
        self.tokens: list[str] = []

    async def token(self, role: Role, domains: list[str] | None = None, name: str = "anna") -> str:
        await self.site.user(name, role, domains)
        async with await self.site.program(name, role, domains) as program:
            self.tokens.append(program.headers["Authorization"].removeprefix("Bearer "))
        return self.tokens[-1]

    async def log_in(self, role: Role, domains: list[str] | None = None, name: str = "anna") -> None:
        token = await self.token(role, domains, name)
        done = await self("login", self.url, "--ca-file", str(self.certificate), typed=f"{token}\n")
        assert done.exit_code == 0, done.output

    async def __call__(self, *arguments: str, typed: str | None = None) -> Result:
        environment = {VARIABLE: str(self.file), "COLUMNS": "160"}
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments, input=typed, env=environment)
        assert not [token for token in self.tokens if token in done.output], "a token is printed"
        return done


@asynccontextmanager
async def serving(backstage: Backstage, folder: Path) -> AsyncIterator[Elsewhere]:
    """Serve a console on a port of its own."""
    web = backstage.settings.web
    assert web is not None
    site = Site(backstage)
    server = WebServer(web, "localhost", create_app(backstage))
    await server.start()
    try:
        yield Elsewhere(site, server.port, folder, web.certificate_file)
    finally:
        await server.close()
