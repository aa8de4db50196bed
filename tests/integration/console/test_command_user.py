"""`gatepost user` and `gatepost token`."""

import time

import pytest

from services.console.database import Database
from services.console.identity.sessions import Step, open_session
from services.console.identity.tokens import caller_of_token
from tests.integration.console.command import Gatepost


@pytest.fixture
def with_ben(gatepost: Gatepost) -> Gatepost:
    added = gatepost("user", "add", "Ben@example.org", "--role", "domain-manager", "--domain", "Example.org")
    assert added.exit_code == 0
    assert "/invited/" in added.stdout
    return gatepost


def test_users_are_added_listed_changed_and_removed(with_ben: Gatepost) -> None:
    (ben,) = with_ben.json("user", "list")
    assert (ben["name"], ben["role"], ben["domains"]) == ("ben@example.org", "domain-manager", ["example.org"])
    assert ben["state"] == "invited"
    assert with_ben("user", "change", "ben@example.org", "--role", "operator").exit_code == 0
    assert with_ben.json("user", "show", "ben@example.org")["role"] == "operator"
    assert with_ben("user", "disable", "ben@example.org").exit_code == 0
    assert "shut out" in with_ben("user", "list").stdout
    assert with_ben("user", "enable", "ben@example.org").exit_code == 0
    assert "/invited/" in with_ben("user", "reset", "ben@example.org").stdout
    assert with_ben("user", "reset", "--second-factor", "ben@example.org").exit_code == 0
    assert "0 browsers" in with_ben("user", "logout", "ben@example.org").stdout
    assert with_ben("user", "remove", "ben@example.org").exit_code == 0
    assert with_ben.json("user", "list") == []


def test_browsers_that_are_logged_in_are_listed_and_ended_one_by_one(with_ben: Gatepost) -> None:
    async def log_in(database: Database) -> None:
        for number in range(3):
            address, now = f"192.0.2.{number}", time.time()
            await open_session(database, "ben@example.org", Step.WHOLE, address=address, agent="Firefox", now=now)

    assert with_ben("user", "sessions").stdout == "No browser is logged in.\n"
    with_ben.with_database(log_in)
    first, second, _ = with_ben.json("user", "sessions")
    assert with_ben.json("user", "sessions", "Ben@example.org")[0] == first
    assert with_ben.json("user", "sessions", "nobody") == []
    shown = with_ben("user", "sessions").stdout
    assert all(text in shown for text in (first["id"][:12], "192.0.2.0", "Firefox"))
    ended = with_ben("user", "logout", "ben@example.org", "--session", first["id"][:12])
    assert ended.stdout == f"ben@example.org is logged out at {first['address']}.\n"
    again = with_ben("user", "logout", "ben@example.org", "--session", first["id"])
    assert (again.exit_code, "it may be over" in again.stderr) == (1, True)
    another = with_ben("user", "logout", "anna", "--session", second["id"])
    assert another.exit_code == 1
    assert "2 browsers" in with_ben("user", "logout", "ben@example.org").stdout


def test_what_cannot_be_done_is_said_in_one_line(with_ben: Gatepost) -> None:
    twice = with_ben("user", "add", "ben@example.org", "--role", "viewer")
    assert (twice.exit_code, twice.stderr) == (1, "gatepost: there is a user ben@example.org already\n")
    assert with_ben("user", "show", "nobody").exit_code == 1
    assert with_ben("user", "add", "x", "--role", "emperor").exit_code == 2


def test_a_link_for_the_first_administrator_is_made_while_there_is_none(gatepost: Gatepost) -> None:
    assert "gatepost user first" in gatepost("user", "list").stdout
    said = gatepost("user", "first")
    assert said.exit_code == 0
    assert "https://gate.gatepost.test/first/" in said.stdout


def test_a_token_is_printed_once_and_works_until_it_is_removed(with_ben: Gatepost) -> None:
    made = with_ben(
        "token", "add", "--user", "ben@example.org", "--for", "a script", "--role", "viewer", "--domain", "example.org"
    )
    token = made.stdout.strip()
    assert token.startswith("gp_")

    async def caller(database: Database) -> str | None:
        found = await caller_of_token(database, token, "192.0.2.1", 0.0)
        return found.name if found is not None else None

    assert with_ben.with_database(caller) == "ben@example.org (a script)"
    (listed,) = with_ben.json("token", "list", "--user", "ben@example.org")
    assert listed["used_from"] == "192.0.2.1"
    assert token not in with_ben("token", "list").stdout
    too_much = with_ben("token", "add", "--user", "ben@example.org", "--for", "x", "--role", "administrator")
    assert too_much.exit_code == 1
    of_nobody = with_ben("token", "add", "--for", "x", "--role", "viewer")
    assert (of_nobody.exit_code, "--user NAME" in of_nobody.stderr) == (1, True)
    assert with_ben("token", "remove", listed["id"]).exit_code == 0
    assert with_ben.with_database(caller) is None


def test_the_audit_is_shown_by_who_what_and_when(with_ben: Gatepost) -> None:
    assert with_ben("user", "disable", "ben@example.org").exit_code == 0
    shown = with_ben("audit", "--action", "user", "--target", "BEN@").stdout
    assert shown.index("user disable") < shown.index("user add")
    assert "this host" in shown
    (only,) = with_ben.json("audit", "--action", "user dis")
    assert (only["target"], only["via"]) == ("ben@example.org", "host")
    assert with_ben.json("audit", "--until", "2001-01-01") == []
    assert with_ben("audit", "--since", "yesterday").exit_code == 2
