"""`gatepost ban`, on a real Redis: what an administrator sets is what edge heeds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.console.database import Database
from services.console.tables import audit
from services.edge.bans import Bans
from shared.policy import parse_policy
from shared.state.fallback import FallbackState
from tests.fakes import FakeEvents
from tests.integration.console.command import Gatepost
from tests.rabbit import Rabbit
from tests.redis import RedisServer

POLICY = parse_policy("[bans]\nthreshold = 10")
CLIENT = "192.0.2.7"


@pytest.fixture
def gatepost(rabbit: Rabbit, tmp_path: Path, redis_server: RedisServer) -> Gatepost:
    """The command, whose settings name a Redis."""
    made = Gatepost(tmp_path, rabbit)
    with made.file.open("a") as file:
        file.write(f"[redis]\nport = {redis_server.port}\n")
    return made


def at_edge(server: RedisServer, *punished: str) -> dict[str, float | None]:
    """Have edge punish addresses; return for how long it keeps out the ones it is asked for."""

    async def ask() -> dict[str, float | None]:
        state = FallbackState(server.settings)
        await state.start()
        try:
            bans = Bans(state, FakeEvents())
            for address in punished:
                await bans.punish(address, 10, "login-failed", POLICY)
            return {address: await bans.is_banned(address, POLICY) for address in (CLIENT, "2001:db8::9", *punished)}
        finally:
            await state.close()

    return asyncio.run(ask())


def test_edge_heeds_a_ban_that_was_added_and_one_that_was_lifted(gatepost: Gatepost, redis_server: RedisServer) -> None:
    done = gatepost("ban", "add", CLIENT, "--for", "2h", "--why", "spams us")
    assert done.exit_code == 0, done.stderr
    assert f"{CLIENT} is banned until" in done.stdout
    assert at_edge(redis_server)[CLIENT] == pytest.approx(7200, abs=60)
    assert gatepost("ban", "remove", CLIENT).exit_code == 0
    assert at_edge(redis_server)[CLIENT] is None


def test_an_ipv6_address_stands_for_its_64(gatepost: Gatepost, redis_server: RedisServer) -> None:
    assert gatepost("ban", "add", "2001:db8::1").exit_code == 0
    assert at_edge(redis_server)["2001:db8::9"] == pytest.approx(86_400, abs=60)
    assert gatepost("ban", "remove", "2001:db8::/64").exit_code == 0
    assert at_edge(redis_server)["2001:db8::9"] is None


def test_what_edge_banned_is_listed_for_people_and_programs(gatepost: Gatepost, redis_server: RedisServer) -> None:
    assert "Nobody is banned." in gatepost("ban", "list").stdout
    assert gatepost.json("ban", "list") == []
    at_edge(redis_server, "198.51.100.1", "203.0.113.9")
    listed = gatepost("ban", "list").stdout
    assert "198.51.100.1" in listed
    assert "login or password is wrong" in listed
    facts: list[dict[str, Any]] = gatepost.json("ban", "list")
    assert [(one["address"], one["why"], one["count"]) for one in facts] == [
        ("198.51.100.1", "login-failed", 1),
        ("203.0.113.9", "login-failed", 1),
    ]
    assert all(0 < one["left_s"] <= 900 for one in facts)
    assert len(gatepost.json("ban", "list", "--limit", "1")) == 1


def test_a_ban_that_was_lifted_is_longer_the_next_time_unless_it_is_forgotten(
    gatepost: Gatepost, redis_server: RedisServer
) -> None:
    lengths = []
    for options in ((), ("--forget",), ()):
        lengths.append(at_edge(redis_server, CLIENT)[CLIENT])
        assert gatepost("ban", "remove", CLIENT, *options).exit_code == 0
    assert lengths == [pytest.approx(900, abs=60), pytest.approx(3600, abs=60), pytest.approx(900, abs=60)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "192.0.2.0/24"),
        ("add", "mail.example.org"),
        ("add", CLIENT, "--for", "soon"),
        ("add", CLIENT, "--for", "0s"),
        ("add", CLIENT, "--for", "99999d"),
        ("remove", CLIENT),
        ("remove", "nobody"),
        ("list", "--limit", "0"),
    ],
)
def test_what_could_not_work_is_refused(gatepost: Gatepost, arguments: tuple[str, ...]) -> None:
    assert gatepost("ban", *arguments).exit_code in (1, 2)
    assert gatepost.json("ban", "list") == []


def test_what_was_done_stands_in_the_audit(gatepost: Gatepost) -> None:
    gatepost("ban", "add", CLIENT, "--why", "spams us")
    gatepost("ban", "remove", CLIENT)

    async def rows(database: Database) -> list[tuple[str, str]]:
        async with database.reading() as connection:
            found = await connection.execute(select(audit.c.action, audit.c.target).order_by(audit.c.at))
            return [(row.action, row.target) for row in found]

    assert gatepost.with_database(rows) == [("ban add", CLIENT), ("ban remove", CLIENT)]


def test_while_redis_is_away_the_command_says_so(gatepost: Gatepost, redis_server: RedisServer) -> None:
    redis_server.kill()
    done = gatepost("ban", "list")
    assert done.exit_code == 1
    assert "Redis at 127.0.0.1" in done.stderr


def test_without_redis_the_command_says_where_bans_live(rabbit: Rabbit, tmp_path: Path) -> None:
    done = Gatepost(tmp_path, rabbit)("ban", "list")
    assert done.exit_code == 1
    for part in ("no [redis]", "memory of the edge", "restarted", "[[access]]"):
        assert part in done.stderr
