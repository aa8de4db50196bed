"""What holds for every page and every endpoint."""

from pathlib import Path

from services.console.database import Database
from services.console.web.backstage import Backstage
from services.console.web.headers import HEADERS
from tests.integration.console.site import Site
from tests.integration.console.web_settings import settings_for


async def test_every_answer_carries_the_headers_that_keep_a_browser_safe(sqlite: Database, tmp_path: Path) -> None:
    site = Site(Backstage(settings_for(sqlite, tmp_path), sqlite))
    async with site.stranger() as client:
        for path in ("/", "/nowhere", "/static/console.css", "/api/v1/nowhere"):
            answer = await client.get(path)
            assert {name: answer.headers.get(name) for name in HEADERS} == dict(HEADERS), path
