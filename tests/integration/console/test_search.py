"""Finding messages, on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from services.console.actions import search_keys
from services.console.actions.desk import ActionError, Desk, OutOfBounds
from services.console.actions.search import Search, find_messages
from services.console.actions.trace import trace
from services.console.database import Database
from services.console.tables import message_words
from shared.event import EventKind, Stage
from tests.integration.console.mail import event
from tests.integration.console.told import DAY, delivered, desk_of, id_at, mail, write


async def ids(desk: Desk, **wanted: object) -> list[str]:
    return [one.id for one in (await find_messages(desk, Search(**wanted))).items]  # type: ignore[arg-type]


async def scene(database: Database) -> dict[str, str]:
    first = mail(DAY, "Anna@News.Shop.Example", "bert@gate.example", subject="Re: Ihre Rechnung 2026", number=1,
                 message_id="<abc@News.Shop.Example>")  # fmt: skip
    second = mail(DAY + 10, "carl@gate.example", "dora@else.example", "eva@gate.example", client="2001:db8::5",
                  listener="submission", subject="Grüße", login="carl")  # fmt: skip
    refused = event(id_at(DAY + 20), Stage.EDGE, EventKind.SESSION_REFUSED, DAY + 20, client="203.0.113.9",
                    listener="mx", reply="554 5.7.1 no", reason="banned")  # fmt: skip
    command = event(id_at(DAY + 30), Stage.EDGE, EventKind.COMMAND_REFUSED, DAY + 30, client="203.0.113.9",
                    listener="mx", helo="x", command="RCPT", sender="spam@bad.example", recipient="bert@gate.example",
                    reply="550 5.1.1 no", reason="unknown-recipient")  # fmt: skip
    await write(database, delivered(first, DAY + 5), second, [refused], [command])
    return {first[0].id: "first", second[0].id: "second", refused.id: "session", command.id: "command"}


SEARCHES: list[tuple[dict[str, object], list[str]]] = [
    ({}, ["command", "session", "second", "first"]),
    ({"text": "anna@news.shop.example"}, ["first"]),
    ({"text": "@shop.example"}, ["first"]),
    ({"text": "shop.example"}, ["first"]),
    ({"text": "<abc@news.shop.example>"}, ["first"]),
    ({"text": "rechnung"}, ["first"]),
    ({"text": "GRÜSSE"}, ["second"]),
    ({"text": "rechnung anna@news.shop.example gate.example"}, ["first"]),
    ({"text": "rechnung grüße"}, []),
    ({"text": "203.0.113.9"}, ["command", "session"]),
    ({"ip": "2001:0db8:0::5"}, ["second"]),
    ({"address": "bert@GATE.example"}, ["command", "first"]),
    ({"address": "@gate.example", "outcome": "refused"}, ["command"]),
    ({"domain": "gate.example", "text": "bert@gate.example", "ip": "203.0.113.9"}, ["command"]),
    ({"outcome": "refused"}, ["command", "session"]),
    ({"outcome": "waiting"}, ["second"]),
    ({"outcome": "delivered", "domain": "gate.example"}, ["first"]),
    ({"listener": "submission"}, ["second"]),
    ({"subject": "ihre rechnung"}, ["first"]),
    ({"since": DAY + 10, "until": DAY + 30}, ["session", "second"]),
    ({"since": DAY + 10, "domain": "gate.example"}, ["command", "second"]),
    ({"until": DAY + 30, "outcome": "refused"}, ["session"]),
]


@pytest.mark.parametrize("rare", [search_keys.RARE, 1])
async def test_a_message_is_found_by_all_that_is_known_of_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    monkeypatch.setattr(search_keys, "RARE", rare)
    names, desk = await scene(database), desk_of(database, tmp_path)
    for wanted, expected in SEARCHES:
        assert [names[one] for one in await ids(desk, **wanted)] == expected, wanted


async def test_an_id_is_found_as_it_stands_in_a_reply(database: Database, tmp_path: Path) -> None:
    names, desk = await scene(database), desk_of(database, tmp_path)
    for name in names:
        for text in (name, f"[{name.upper()}]", f"250 2.0.0 queued as {name}"):
            assert await ids(desk, text=text) == [name]
    assert await ids(desk, text=id_at(DAY + 999)) == []
    assert await ids(desk, text=next(iter(names)), outcome="refused") == []


@pytest.mark.parametrize(
    "wanted", [{"text": "?!"}, {"address": "nobody"}, {"ip": "1.2.3"}, {"domain": "-.-"}, {"outcome": "lost"}]
)
async def test_what_is_not_understood_is_said(sqlite: Database, tmp_path: Path, wanted: dict[str, object]) -> None:
    with pytest.raises(ActionError) as caught:
        await ids(desk_of(sqlite, tmp_path), **wanted)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"domain": "gate.example"},
        {"outcome": "received"},
        {"outcome": "waiting"},
        {"domain": "gate.example", "outcome": "received"},
        {"text": "offer gate.example"},
    ],
)
async def test_pages_go_back_in_time_and_miss_nothing_where_moments_are_the_same(
    database: Database, tmp_path: Path, wanted: dict[str, object]
) -> None:
    stories = [
        mail(DAY + number // 40, "a@x.example", "b@gate.example", subject="An offer", number=number)
        for number in range(120)
    ]
    await write(database, *stories)
    desk = desk_of(database, tmp_path)
    seen: list[str] = []
    cursor = ""
    for _ in range(20):
        page = await find_messages(desk, Search(**wanted), cursor, limit=25)  # type: ignore[arg-type]
        seen += [one.id for one in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert seen == sorted((story[0].id for story in stories), reverse=True)


async def test_a_page_looks_at_so_many_messages_and_the_next_goes_on_from_there(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_keys, "LOOKS_AT", 10)
    monkeypatch.setattr(search_keys, "RARE", 5)
    stories = [mail(DAY + place, "a@x.example", "b@gate.example", subject="many") for place in range(35)]
    stories += [mail(DAY - 1, "a@x.example", "b@gate.example", subject="many rare")]
    stories += [mail(DAY - 9 + place, "c@x.example", "d@else.example", subject="rare") for place in range(6)]
    await write(database, *stories)
    desk = desk_of(database, tmp_path)
    cursor, found, pages = "", [], 0
    while True:
        page = await find_messages(desk, Search(text="many rare"), cursor)
        pages += 1
        found += [one.id for one in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert found == [id_at(DAY - 1)]
    assert pages <= 4


async def test_what_comes_twice_or_in_several_batches_has_each_word_once(database: Database) -> None:
    story = delivered(mail(DAY, "a@x.example", "b@gate.example", subject="one two"), DAY + 3)
    await write(database, story[1:], story[:1], story, story[:1])
    async with database.reading() as connection:
        rows = (await connection.execute(select(message_words.c.word, message_words.c.at))).all()
        count = await connection.scalar(select(func.count()).select_from(message_words))
    assert count == len({row.word for row in rows})
    assert {row.at for row in rows} == {DAY}
    assert {"a:a@x.example", "d:gate.example", "s:two", "i:192.0.2.7"} <= {row.word for row in rows}


async def test_parts_and_reports_are_found_by_whom_they_go_to(database: Database, tmp_path: Path) -> None:
    story = mail(DAY, "a@x.example", "b@one.example", "c@two.example")
    part, report = id_at(DAY + 1, 1), id_at(DAY + 2, 2)
    into = [{"id": part, "hop": "smtp://one:25", "recipients": ["b@one.example"]}]
    made = event(story[0].id, Stage.DELIVERY, EventKind.SPLIT, DAY + 1, into=into)
    told = event(story[0].id, Stage.DELIVERY, EventKind.DSN_SENT, DAY + 2, dsn_id=report, action="failed",
                 to="a@x.example")  # fmt: skip
    await write(database, [*story, made, told])
    desk = desk_of(database, tmp_path)
    assert await ids(desk, address="b@one.example") == [part, story[0].id]
    assert await ids(desk, address="a@x.example") == [report, story[0].id]
    found = {one.id: one for one in (await find_messages(desk, Search())).items}
    assert (found[part].sender, found[part].parent) == ("a@x.example", story[0].id)
    assert (found[report].sender, found[report].recipients) == (None, None)


async def test_a_manager_finds_what_is_of_the_domains_and_sees_no_other_recipients(
    database: Database, tmp_path: Path
) -> None:
    names, desk = await scene(database), desk_of(database, tmp_path, "else.example")
    assert [names[one] for one in await ids(desk)] == ["second"]
    found = (await find_messages(desk, Search())).items[0]
    assert (found.recipients, found.not_shown) == ("dora@else.example", 1)
    strange = next(name for name, what in names.items() if what == "first")
    assert await ids(desk, text=strange) == []
    assert await ids(desk, domain="gate.example", outcome="delivered") == []
    with pytest.raises(OutOfBounds):
        await trace(desk, strange)
    # A domain below one's own is another domain.
    assert await ids(desk_of(database, tmp_path, "shop.example")) == []
    several = desk_of(database, tmp_path, "else.example", "gate.example")
    assert [names[one] for one in await ids(several)] == ["command", "second", "first"]


async def test_a_manager_sees_a_story_without_the_recipients_of_others(database: Database, tmp_path: Path) -> None:
    story = mail(DAY, "a@x.example", "b@one.example", "c@two.example")
    name, parts = story[0].id, (id_at(DAY + 1, 1), id_at(DAY + 1, 2))
    verdicts = {"one.example": {"action": "accept"}, "two.example": {"action": "tag"}}
    story += [event(name, Stage.CONTENT, EventKind.JUDGED, DAY + 0.5, verdicts=verdicts, policy_version=1, took_ms=1)]
    into = [
        {"id": part, "hop": f"smtp://{hop}:25", "recipients": [to]}
        for part, hop, to in zip(parts, ("one", "two"), ("b@one.example", "c@two.example"), strict=True)
    ]
    story += [event(name, Stage.DELIVERY, EventKind.SPLIT, DAY + 1, into=into)]
    for part, to in zip(parts, ("b@one.example", "c@two.example"), strict=True):
        retry = {"hop": "smtp://h:25", "reason": f"451 {to} is busy", "attempts": 1, "not_before": DAY + 60}
        story += [event(part, Stage.DELIVERY, EventKind.RETRY, DAY + 2, **retry)]
    await write(database, story)
    found = await trace(desk_of(database, tmp_path, "one.example"), name)
    said = repr(found)
    assert found.leaves_out
    assert ("b@one.example" in said, "451 b@one" in said) == (True, True)
    assert "two" not in said
    assert parts[1] not in said
    whole = await trace(desk_of(database, tmp_path), parts[1])
    assert (whole.leaves_out, "c@two.example" in repr(whole), len(whole.members)) == (False, True, 3)


async def test_who_logged_in_with_a_sender_of_the_domains_is_seen_writing_to_others(
    database: Database, tmp_path: Path
) -> None:
    await scene(database)
    found = await trace(desk_of(database, tmp_path, "gate.example"), id_at(DAY + 10))
    assert "dora@else.example" in repr(found)
    assert not found.leaves_out
