"""`gatepost domain add | list | show | set | remove`, on a real broker."""

from pathlib import Path

import pytest
from sqlalchemy import insert

from services.console.actions import policies, policy_stream
from services.console.database import Database
from services.console.domain_check.asking import RouteQuestions
from services.console.tables import hops
from shared.policy_entry import PolicyEntry
from shared.settings import BrokerSettings
from tests.integration.console.command import Gatepost

FIRST = '# ours\n[domains."gatepost.test"] # main\nroute = "maildir:mail"\nrecipients = ["demo"]\n'


@pytest.fixture
def ours(gatepost: Gatepost, tmp_path: Path) -> Gatepost:
    """The command on a gateway with a policy."""
    path = tmp_path / "policy.toml"
    path.write_text(FIRST)
    done = gatepost("policy", "apply", str(path), "--reason", "the first one")
    assert done.exit_code == 0, done.output
    return gatepost


def document(gatepost: Gatepost) -> str:
    return "".join(
        line for line in gatepost("policy", "show").stdout.splitlines(keepends=True) if not line.startswith("# version")
    )


def test_a_domain_is_added_changed_and_removed_in_the_policy_and_comments_stay(ours: Gatepost) -> None:
    routes = ("--route", "smtp://a.test:25", "--route", "mx")
    added = ours("domain", "add", "NEW.test", *routes, "--recipients", "anna,ben", "--reason", "a customer")
    assert added.exit_code == 0, added.output
    assert 'recipients = ["anna", "ben"]' in added.stdout
    assert "Version 2 is in force" in added.stdout
    changed = ours("domain", "set", "new.test", "subaddress=+", "size_bytes=70000", "--reason", "asked for")
    assert changed.exit_code == 0, changed.output
    facts = ours.json("domain", "show", "new.test")
    assert facts["table"] == {
        "route": ["smtp://a.test:25", "mx"],
        "recipients": ["anna", "ben"],
        "subaddress": "+",
        "size_bytes": 70000,
    }
    assert ours("domain", "set", "new.test", "--unset", "subaddress", "--reason", "no").exit_code == 0
    assert ours("domain", "remove", "new.test", "--reason", "gone").exit_code == 0
    assert FIRST in document(ours)
    assert "# reason: domain remove new.test: gone" in document(ours)
    assert [one["domain"] for one in ours.json("domain", "list")] == ["gatepost.test"]


def test_a_change_that_the_policy_would_not_take_changes_nothing(ours: Gatepost) -> None:
    refused = ours("domain", "set", "gatepost.test", "subaddres=+", "--reason", "a slip")
    assert refused.exit_code == 1
    assert "subaddres" in refused.output
    again = ours("domain", "add", "Gatepost.Test", "--route", "mx", "--recipients", "any", "--reason", "again")
    assert (again.exit_code, "already" in again.output) == (1, True)
    unknown = ours("domain", "remove", "other.test", "--reason", "x")
    assert (unknown.exit_code, "none of our domains" in unknown.output) == (1, True)
    wrongly = ours("domain", "set", "gatepost.test", "--reason", "x")
    assert wrongly.exit_code == 2
    assert ours("domain", "show", "not a domain").exit_code == 2
    assert "# version 1 " in ours("policy", "show").stdout


def test_a_change_made_from_an_older_version_is_not_laid_over_a_newer_one(
    ours: Gatepost, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = policy_stream.read_stream
    calls: list[int] = []

    async def old_at_first(broker: BrokerSettings) -> list[PolicyEntry]:
        calls.append(1)
        return [entry for entry in await read(broker) if entry.version == 1 or len(calls) > 1]

    assert ours("domain", "set", "gatepost.test", "batv=sign", "--reason", "one").exit_code == 0
    monkeypatch.setattr(policies, "read_stream", old_at_first)
    late = ours("domain", "set", "gatepost.test", "size_bytes=70000", "--reason", "two")
    assert late.exit_code == 1
    assert "has changed since version 1" in late.output


def test_show_tells_what_delivery_last_said_of_each_route(ours: Gatepost) -> None:
    assert (
        ours("domain", "set", "gatepost.test", "route=smtp://h.test:25", "--reason", "a server of its own").exit_code
        == 0
    )
    row = {"hop": "smtp://h.test:25", "host": "d1", "state": "shut", "cause": "no connection", "until": None, "at": 1e9}

    async def write(database: Database) -> None:
        async with database.writing() as connection:
            await connection.execute(insert(hops), [row])

    ours.with_database(write)
    shown = ours("domain", "show", "gatepost.test").stdout
    assert "d1: shut (no connection) since 2001-09-09" in shown
    assert "gatepost dkim add gatepost.test" in shown
    assert "smtp://h.test:25" in ours("domain", "list").stdout


def test_check_ends_with_0_where_nothing_is_wrong_and_says_what_it_could_not_ask(
    ours: Gatepost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RouteQuestions.__init__, "__defaults__", (0.2,))
    checked = ours("domain", "check")
    assert checked.exit_code == 0, checked.output
    for topic in ("MX", "SPF", "DKIM", "DMARC", "route"):
        assert f"{topic}: " in checked.stdout
    assert "?? route: delivery did not look: nobody answered" in checked.stdout
    assert "→ gatepost dkim add gatepost.test" in checked.stdout
