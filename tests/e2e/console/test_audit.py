"""The audit tells who did what, and is taken away as a file."""

import csv
import json
from pathlib import Path

import pytest

from tests.e2e.console.desk import Desk
from tests.e2e.gateway import wait_until

pytestmark = pytest.mark.slow


def test_what_was_done_stands_in_the_audit_with_who_did_it_and_from_where(desk: Desk) -> None:
    desk.go("/domains/gatepost.test")
    desk.press("Check it")
    desk.go("/audit")
    desk.fill(who="anna", address="127.0.0.1")
    desk.press("Find")
    desk.is_at("/audit?")
    desk.sees("log-in", "127.0.0.1")
    desk.choose(action="log-in")
    desk.press("Find")
    desk.is_at("/audit?")

    def shown() -> set[str]:
        return {str(cell.text) for cell in desk.all("main tbody td[data-label=What]")}

    wait_until(lambda: shown() == {"log-in"}, 30)


def test_the_audit_is_exported_as_it_is_filtered(desk: Desk, tmp_path: Path) -> None:
    allow = {"behavior": "allow", "downloadPath": str(tmp_path)}
    desk.browser.execute_cdp_cmd("Browser.setDownloadBehavior", allow)
    desk.go("/audit?action=log-in")
    for word, ending in (("CSV", "csv"), ("JSON lines", "jsonl")):
        desk.press(word)
        wait_until(lambda ending=ending: any(tmp_path.glob(f"*.{ending}")), 30)  # type: ignore[misc]
    (table,) = tmp_path.glob("*.csv")
    (lines,) = tmp_path.glob("*.jsonl")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    entries = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {(row["who"], row["action"]) for row in rows} >= {("anna", "log-in")}
    assert {row["action"] for row in rows} == {entry["action"] for entry in entries} == {"log-in"}
    assert len(rows) == len(entries)
