"""Who logged in from an address, and what they sent, in both databases."""

import time
from pathlib import Path

from services.console.actions.log_ins import log_ins
from services.console.database import Database
from shared.event import Event, EventKind, Facts, Stage
from tests.integration.console.mail import event
from tests.integration.console.told import desk_of, id_at, write

THERE = "203.0.113.5"
_DAY = 86_400.0


def received(at: float, login: str, sender: str, client: str = THERE, kind: EventKind = EventKind.RECEIVED) -> Event:
    facts: Facts = {"client": {"address": client}, "sender": sender, "recipients": ["x@far.test"], "login": login}
    return event(id_at(at), Stage.EDGE, kind, at, **facts)


async def test_a_log_in_is_found_at_any_age_and_however_much_else_came_from_there(
    database: Database, tmp_path: Path
) -> None:
    now = time.time()
    old = received(now - 300 * _DAY, "anna", "anna@mine.test")
    refused = received(now - 200 * _DAY, "ben@mine.test", "", kind=EventKind.COMMAND_REFUSED)
    others = [received(now - index, "", "stranger@far.test") for index in range(1500)]
    elsewhere = received(now - 400 * _DAY, "ANNA", "x@shop.test", "203.0.113.6")
    await write(database, [elsewhere, old, refused, *others])
    desk = desk_of(database, tmp_path)

    found, behind = await log_ins(desk, address=THERE)
    assert [(one.id, one.login) for one in found] == [(refused.id, "ben@mine.test"), (old.id, "anna")]
    assert behind is None
    of_anna, _ = await log_ins(desk, login="Anna")
    assert [(one.id, one.address) for one in of_anna] == [(old.id, THERE), (elsewhere.id, "203.0.113.6")]
    assert of_anna[0].recipients == ("x@far.test",)


async def test_a_long_list_goes_on_behind_its_last_log_in_and_shows_each_once(
    database: Database, tmp_path: Path
) -> None:
    now = time.time()
    made = [received(now - index, f"u{index % 3}@d{index % 2}.test", "") for index in range(25)]
    await write(database, made)
    desk = desk_of(database, tmp_path)
    seen: list[str] = []
    behind = None
    while True:
        found, behind = await log_ins(desk, address=THERE, behind=behind, limit=10)
        seen += [one.id for one in found]
        if behind is None:
            break
    assert seen == [one.id for one in made]
    mine, _ = await log_ins(desk_of(database, tmp_path, "d1.test"), address=THERE, limit=50)
    assert [one.id for one in mine] == [one.id for index, one in enumerate(made) if index % 2]
