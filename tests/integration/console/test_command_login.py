"""The command and a console elsewhere, over TLS."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.web.backstage import Backstage
from tests.integration.console.elsewhere import Elsewhere, serving
from tests.integration.console.web_settings import settings_for


@pytest.fixture
async def elsewhere(sqlite: Database, tmp_path: Path) -> AsyncIterator[Elsewhere]:
    async with serving(Backstage(settings_for(sqlite, tmp_path), sqlite), tmp_path) as made:
        yield made


async def test_a_log_in_is_kept_for_its_owner_alone_and_used_by_the_commands_that_follow(elsewhere: Elsewhere) -> None:
    token = await elsewhere.token(Role.OPERATOR)
    done = await elsewhere("login", elsewhere.url, "--ca-file", str(elsewhere.certificate), typed=f"{token}\n")
    assert done.exit_code == 0, done.output
    assert token not in done.output
    assert stat.S_IMODE(elsewhere.file.stat().st_mode) == 0o600
    said = await elsewhere("whoami")
    assert said.stdout == "anna (tests), operator\n"


async def test_a_token_that_is_none_keeps_nothing(elsewhere: Elsewhere) -> None:
    done = await elsewhere("login", elsewhere.url, "--ca-file", str(elsewhere.certificate), typed="gp_none\n")
    assert done.exit_code == 1
    assert "token" in done.stderr
    assert not elsewhere.file.exists()


async def test_a_certificate_of_a_strange_authority_is_refused_and_it_is_said_how_to_name_it(
    elsewhere: Elsewhere,
) -> None:
    done = await elsewhere("login", elsewhere.url, typed="gp_none\n")
    assert done.exit_code == 1
    assert "--ca-file" in done.stderr


async def test_a_file_that_others_may_read_is_refused(elsewhere: Elsewhere) -> None:
    token = await elsewhere.token(Role.VIEWER)
    await elsewhere("login", elsewhere.url, "--ca-file", str(elsewhere.certificate), typed=f"{token}\n")
    elsewhere.file.chmod(0o644)
    done = await elsewhere("whoami")
    assert done.exit_code == 2
    assert "chmod 600" in done.stderr


async def test_after_the_log_out_no_console_is_known(elsewhere: Elsewhere) -> None:
    token = await elsewhere.token(Role.VIEWER)
    await elsewhere("login", elsewhere.url, "--ca-file", str(elsewhere.certificate), typed=f"{token}\n")
    assert (await elsewhere("logout")).exit_code == 0
    done = await elsewhere("whoami")
    assert done.exit_code == 2
    assert "does not exist" in done.stderr
