"""What holds for every page and every endpoint."""

from pathlib import Path

from services.console.database import Database
from services.console.web.app import openapi_app
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


async def test_a_stranger_is_sent_to_the_log_in_by_pages_and_asked_for_a_token_by_the_api(
    sqlite: Database, tmp_path: Path
) -> None:
    site = Site(Backstage(settings_for(sqlite, tmp_path), sqlite))
    public = {"/login", "/static"}
    app = openapi_app(site.backstage)
    async with site.stranger() as client:
        for route in app.routes:
            path = getattr(route, "path", "")
            methods = getattr(route, "methods", None) or set()
            if "GET" not in methods or "{" in path or path in public or path.startswith("/api/v1/openapi"):
                continue
            answer = await client.get(path)
            assert answer.status_code in ((401,) if path.startswith("/api/") else (303,)), path
