"""The audit: who did what, when, from where."""

import ast
import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import insert

import services
from services.console.database import Database
from services.console.identity.rights import Role
from services.console.tables import audit
from tests.integration.console.people import People


@pytest.fixture
async def people(sqlite: Database, tmp_path: Path) -> People:
    made = People(sqlite, tmp_path)
    await made.add("anna")
    return made


async def write(people: People, *rows: Mapping[str, object]) -> None:
    plain: dict[str, object] = {"who": "w", "action": "a", "target": "t", "details": "{}", "address": "", "via": "host"}
    made = [
        plain | {"uid": f"u{number:05}", "at": 1_700_000_000.0 + number} | dict(row) for number, row in enumerate(rows)
    ]
    async with people.database.writing() as connection:
        await connection.execute(insert(audit), made)


async def test_the_page_finds_by_who_what_to_what_from_where_and_when(people: People) -> None:
    await write(
        people,
        {"who": "carla", "action": "ban add", "target": "192.0.2.99", "address": "203.0.113.5", "via": "browser"},
        {"who": "dora (backup)", "action": "domain add", "target": "x.example", "via": "token"},
        {"who": "100%_sure", "action": "policy apply", "target": "version 7", "details": '{"reason": "spring"}'},
    )
    async with people.in_whole() as browser:
        for query, expected in (
            ({"who": "CARL"}, {"carla"}),
            ({"who": "%"}, {"100%_sure"}),
            ({"who": "_"}, {"100%_sure"}),
            ({"action": "domain add"}, {"dora (backup)"}),
            ({"action": "domain"}, set()),
            ({"target": "example"}, {"dora (backup)"}),
            ({"address": "203.0.113."}, {"carla"}),
            ({"since": "2023-11-14 22:13:21", "until": "2023-11-14 22:13:22"}, {"dora (backup)"}),
            ({"until": "2023-11-15"}, {"carla", "dora (backup)", "100%_sure"}),
        ):
            page = (await browser.get("/audit", params=query)).text
            table = page.partition("<tbody>")[2]
            found = {who for who in ("carla", "dora (backup)", "100%_sure") if f">{who}<" in table}
            assert found == expected, query
        assert "reason: spring" in (await browser.get("/audit?who=sure")).text
        assert (await browser.get("/audit?since=yesterday")).status_code == 422
        assert (await browser.get("/audit?cursor=rubbish")).status_code == 409
        assert "Nothing of that kind" in (await browser.get("/audit?who=nobody-at-all")).text


async def test_pages_go_back_in_time_and_miss_nothing_even_where_times_are_the_same(people: People) -> None:
    await write(people, *({"target": f"t{number}", "at": 1_700_000_000.0} for number in range(120)))
    program = await people.site.program("anna", Role.ADMINISTRATOR)
    seen, cursor = [], ""
    async with program:
        while True:
            page = (await program.get("/api/v1/audit", params={"who": "w", "limit": 50, "cursor": cursor})).json()
            seen += [entry["target"] for entry in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
    assert seen == [f"t{number}" for number in reversed(range(120))]
    async with people.in_whole() as browser:
        first = (await browser.get("/audit?who=w")).text
        assert ">t119<" in first
        assert ">t60<" not in first
        assert 'rel="next"' in first


async def test_an_export_has_every_row_and_no_cell_that_a_spreadsheet_would_run(people: People) -> None:
    formula = "=cmd|' /C calc'!A0"
    odd = [formula, "+1", "-1", "@x", "\t=1", " =1", 'a "quoted", cell\nof two lines', "ok"]
    await write(people, *({"target": text} for text in odd), *({"target": "many"} for _ in range(2100)))
    async with people.in_whole() as browser:
        answer = await browser.get("/audit/export.csv?who=w")
        assert answer.headers["content-disposition"] == 'attachment; filename="gatepost-audit.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        lines = [json.loads(line) for line in (await browser.get("/audit/export.jsonl?who=w")).text.splitlines()]
    assert len(rows) == len(lines) == 2108
    cells = [row["target"] for row in reversed(rows)][: len(odd)]
    assert cells == ["'" + formula, "'+1", "'-1", "'@x", "'\t=1", "' =1", odd[6], "ok"]
    # JSON keeps what was written.
    assert [line["target"] for line in reversed(lines)][: len(odd)] == odd


async def test_what_was_denied_is_in_the_audit_with_who_and_from_where(people: People) -> None:
    await people.add("vera", Role.VIEWER)
    async with people.in_whole("vera") as browser:
        assert (await browser.get("/users")).status_code == 403
        browser.headers["X-CSRF-Token"] = "another session's"
        assert (await browser.post("/logout")).status_code == 403
    program = await people.site.program("vera", Role.VIEWER)
    async with program:
        assert (await program.get("/api/v1/users/anna")).status_code == 403
    denied = [(row.who, row.target, row.address, row.via) for row in await people.audit() if row.action == "denied"]
    assert denied == [
        ("vera", "GET /users", "192.0.2.7", "browser"),
        ("vera", "POST /logout", "192.0.2.7", "browser"),
        ("vera (tests)", "GET /api/v1/users/{name}", "192.0.2.7", "token"),
    ]


async def test_a_wrong_time_or_rubbish_in_the_filters_is_no_failure(people: People) -> None:
    async with people.in_whole() as browser:
        for query in ({"since": "9999-99-99"}, {"since": "0001-01-01"}, {"who": "\x00"}, {"who": "x" * 321}):
            assert (await browser.get("/audit", params=query)).status_code < 500, query
            assert (await browser.get("/audit/export.csv", params=query)).status_code < 500, query


async def test_the_audit_is_read_on_postgresql_too(database: Database, tmp_path: Path) -> None:
    people = People(database, tmp_path)
    await people.add("anna")
    await write(people, *({"target": f"t{number}", "at": 1_700_000_000.0} for number in range(60)))
    async with people.in_whole() as browser:
        assert ">t59<" in (await browser.get("/audit", params={"who": "W", "since": "2023-11-14"})).text
        assert (await browser.get("/audit/export.csv?who=w")).text.count("\n") == 61
        # PostgreSQL keeps no NUL.
        for path in ("/audit?who=%00", "/users/%00", "/me/sessions/%00/end", "/users/a/tokens/%00/remove"):
            method = "POST" if path.count("/") > 2 else "GET"
            assert (await browser.request(method, path)).status_code in {200, 404, 422}, path
        assert (await browser.post("/login", data={"name": "\x00", "password": "x"})).status_code in {401, 422}


def test_no_code_changes_or_removes_a_row_of_the_audit() -> None:
    root = Path(services.__file__ or "").parent
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                named = [ast.unparse(argument) for argument in node.args]
                on_audit = getattr(node.func, "value", None)
                assert not (
                    name in {"delete", "update"} and ("audit" in named or ast.unparse(on_audit or node.func) == "audit")
                ), file
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = " ".join(node.value.lower().split())
                assert not any(words in text for words in ("delete from audit", "update audit", "drop table audit")), (
                    file
                )
