"""The doctor's page and API."""

import asyncio
from pathlib import Path

import pytest

from services.console.database import Database
from services.console.identity.rights import Role
from services.console.web.backstage import Backstage
from tests.integration.console.site import Site
from tests.integration.console.web_settings import settings_for
from tests.rabbit import Rabbit


@pytest.fixture
def site(rabbit: Rabbit, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    path = tmp_path / "console.toml"
    path.write_text("")
    path.chmod(0o644)
    monkeypatch.setenv("GATEPOST_SETTINGS_FILE", str(path))
    return Site(Backstage(settings_for(sqlite, tmp_path, rabbit.settings("console")), sqlite))


async def test_the_doctor_looks_behind_the_page_and_says_how_to_mend(site: Site) -> None:
    async with site.browser(Role.VIEWER) as browser:
        assert "Look now" in (await browser.get("/doctor")).text
        assert (await browser.post("/doctor")).headers["location"] == "/doctor"
        async with asyncio.timeout(60):
            while 'hx-trigger="every' in (page := (await browser.get("/doctor?part=x")).text):
                await asyncio.sleep(0.2)
        assert "chmod 600" in page
        assert "no [admin]" in page
        # What is wrong stands first.
        assert page.index(">wrong<") < page.index(">good<") < page.index(">not looked at<")


async def test_the_api_says_the_same_and_nobody_of_single_domains_is_told(site: Site) -> None:
    async with site.api(Role.OPERATOR) as program:
        found = (await program.get("/api/v1/doctor")).json()
        assert found["well"] is False
        assert "chmod 600" in " ".join(one["mend"] for one in found["findings"])
        assert "0123456789abcdef" not in str(found)
    async with site.api(Role.DOMAIN_MANAGER, ["one.test"]) as program:
        assert (await program.get("/api/v1/doctor")).status_code == 403
    async with site.browser(Role.DOMAIN_MANAGER, ["one.test"]) as browser:
        assert (await browser.get("/doctor")).status_code == 403
        assert (await browser.post("/doctor")).status_code == 403
