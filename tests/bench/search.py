"""Search at five million events: every kind of it, the trace, the counts, and pruning beside, on a private PostgreSQL.

Prints p50 and p95 of each in milliseconds, and fails where a p95 is over 300. `--sqlite` does the same on SQLite with a
tenth of it. `--write` puts the table into docs/performance.md.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import insert, text

from services.console.actions import audit_log, quarantine, search, trace, waiting
from services.console.actions.desk import Desk
from services.console.actions.search import Search
from services.console.database import Database
from services.console.identity.rights import Caller, Role, Via
from services.console.pulse.mail import mail_facts
from services.console.retention import Retention
from services.console.tables import audit, message_words, messages
from services.console.tables import quarantine as held_table
from services.console.words import time_of, words_of_mail
from shared.ids import make_id
from shared.policy.retention import RetentionRules
from tests.integration.console.postgres import private_cluster
from tests.integration.console.web_settings import settings_for

EVENTS_PER_MESSAGE = 7
LIMIT_MS = 300.0
_ROUNDS = 15
_DAYS = 30
_MARKS = ("<!-- search: begin -->", "<!-- search: end -->")
_PAGE = Path("docs/performance.md")
_STATES = (("delivered", 0.78), ("refused", 0.96), ("quarantined", 0.99), ("failed", 0.995), ("retrying", 0.999))
_KINDS = ("received", "checked", "judged", "answered", "queued", "attempt", "delivered")
_WORDS = [f"word{number}" for number in range(20_000)]
Query = Callable[[int], Awaitable[object]]


class Load:
    """Messages as a gateway of many domains sees them: few domains and words are frequent, most are rare."""

    def __init__(self, count: int, now: float) -> None:
        self._random = random.Random(7)
        self.now = now
        self.count = count
        self.ids: list[str] = []

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Yield rows of `messages`, the oldest first, in the order of its columns."""
        draw = self._random
        step = _DAYS * 86_400.0 / self.count
        for number in range(self.count):
            at = round(self.now - (self.count - number) * step, 3)
            name = make_id(round(at * 1000), draw.getrandbits(74))
            self.ids.append(name)
            luck = draw.random()
            state = next((state for state, up_to in _STATES if luck < up_to), "cancelled")
            waits = (
                ("smtp://slow.example:25", at + 900, "451 4.3.2 busy") if state == "retrying" else (None, None, None)
            )
            client = f"203.{draw.randrange(100)}.{draw.randrange(250)}.{draw.randrange(250)}"
            # A tenth of all mail is of one domain; half of it goes to another.
            sender = f"user{draw.randrange(500)}@{'big.example' if luck < 0.1 else f'n{int(draw.random() ** 3 * 40_000)}.example'}"
            to = "main.example" if draw.random() < 0.5 else f"own{draw.randrange(200)}.example"
            subject = " ".join(_WORDS[int(draw.random() ** 4 * 20_000)] for _ in range(5))
            yield (
                name, at, at + 3, "mx" if luck < 0.95 else "submission", client, sender,
                f"person{draw.randrange(2000)}@{to}", subject, 4000, "accept", state, at + 3, None, *waits,
            )  # fmt: skip


def _words_of(row: tuple[object, ...]) -> list[tuple[str, float, str]]:
    name, sender, recipients, client, subject = str(row[0]), str(row[5]), str(row[6]), str(row[4]), str(row[7])
    at = time_of(name, 0.0)
    found = words_of_mail(sender, [recipients], client, subject, f"<{name}@{sender.partition('@')[2]}>")
    return [(word, at, name) for word in found]


_EVENTS_SQL = (
    "INSERT INTO events (uid, id, at, stage, host, kind, facts) SELECT m.id || '-' || k.place, m.id, "
    "m.first_seen + k.place * 0.2, 'content', 'host1', k.kind, "
    '\'{"sender": "\' || m.sender || \'", "recipients": ["\' || m.recipients || \'"], "reply": "250 2.0.0 Ok", '
    '"hop": "smtp://192.0.2.25:25", "listener": "mx", "client": "192.0.2.7"}\' FROM messages m CROSS JOIN ('
    + " UNION ALL ".join(f"SELECT {place} AS place, '{kind}' AS kind" for place, kind in enumerate(_KINDS))
    + ") k"
)


async def _fill(database: Database, load: Load) -> None:
    """Fill the big tables, and some thousands of held mails and audit rows."""
    started = time.monotonic()
    if database.is_sqlite:
        await _fill_sqlite(database, load)
    else:
        await _fill_postgres(database, load)
    now = load.now
    held = [
        {
            "id": name, "part": "p", "reason": "refuse", "check": "antivirus", "evidence": "EICAR", "sender": "a@b.example",
            "recipients": "person1@main.example", "subject": "x", "headers": "{}", "message": b"x" * 4000,
            "size_bytes": 4000, "received_at": now - place, "stored_at": now - place, "state": "held", "state_at": now,
        }
        for place, name in enumerate(load.ids[-20_000:])
    ]  # fmt: skip
    acts = [
        {"uid": f"a{place}", "at": now - place * 60, "who": f"user{place % 9}", "action": "ban add", "target": f"t{place}",
         "details": "{}"}
        for place in range(50_000)
    ]  # fmt: skip
    async with database.writing() as connection:
        for table, rows in ((held_table, held), (audit, acts)):
            for place in range(0, len(rows), 5000):
                await connection.execute(insert(table), rows[place : place + 5000])
    _say(f"filled in {time.monotonic() - started:.0f} s")


async def _fill_postgres(database: Database, load: Load) -> None:
    url = database.url
    connection = await asyncpg.connect(host=url.host, port=url.port, user=url.username, database=url.database)
    try:
        # Loaded without their indexes, which are made afterwards, as they are declared.
        for table in ("events", "message_words"):
            await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        await connection.execute("DROP INDEX events_by_id; DROP INDEX message_words_by_time")
        columns = [column.name for column in messages.columns]
        rows, words = [], []
        for row in load.rows():
            rows.append(row)
            words += _words_of(row)
            if len(rows) == 20_000:
                await connection.copy_records_to_table("messages", records=rows, columns=columns)
                await connection.copy_records_to_table("message_words", records=words)
                rows, words = [], []
        await connection.copy_records_to_table("messages", records=rows, columns=columns)
        await connection.copy_records_to_table("message_words", records=words)
        await connection.execute("SET maintenance_work_mem = '1GB'")
        await connection.execute(_EVENTS_SQL, timeout=900)
        for statement in (
            "ALTER TABLE events ADD PRIMARY KEY (uid)",
            "CREATE INDEX events_by_id ON events (id, at)",
            "ALTER TABLE message_words ADD PRIMARY KEY (word, at, id)",
            "CREATE INDEX message_words_by_time ON message_words (at)",
            "VACUUM ANALYZE",
        ):
            await connection.execute(statement, timeout=900)
    finally:
        await connection.close()


async def _fill_sqlite(database: Database, load: Load) -> None:
    async with database.writing() as connection:
        columns = [column.name for column in messages.columns]
        rows = list(load.rows())
        for place in range(0, len(rows), 5000):
            some = rows[place : place + 5000]
            await connection.execute(insert(messages), [dict(zip(columns, row, strict=True)) for row in some])
            words = [dict(zip(("word", "at", "id"), one, strict=True)) for row in some for one in _words_of(row)]
            await connection.execute(insert(message_words), words)
        await connection.execute(text(_EVENTS_SQL))


def _queries(desk: Desk, manager: Desk, load: Load) -> dict[str, Query]:
    ids, now = load.ids, load.now

    def finding(by: Callable[[int], Search], at: Desk = desk) -> Query:
        return lambda turn: search.find_messages(at, by(turn))

    async def far_back(turn: int) -> object:
        page = await search.find_messages(desk, Search(domain="main.example", until=now - (turn + 1) * 86_400))
        return await search.find_messages(desk, Search(domain="main.example"), page.next or "")

    async def counts(_: int) -> object:
        async with desk.database.reading() as connection:
            return await mail_facts(connection, now)

    return {
        "by id": finding(lambda turn: Search(text=ids[-turn * 997 - 1])),
        "newest": finding(lambda _: Search()),
        "address": finding(lambda turn: Search(text=f"user{turn}@big.example")),
        "address that nobody has": finding(lambda turn: Search(text=f"none{turn}@big.example")),
        "frequent domain": finding(lambda _: Search(domain="main.example")),
        "rare domain": finding(lambda turn: Search(domain=f"n{39_000 - turn}.example")),
        "IP address": finding(lambda turn: Search(ip=f"203.{turn}.5.5")),
        "frequent word of the subject": finding(lambda _: Search(text="word0")),
        "rare word of the subject": finding(lambda turn: Search(text=f"word{19_000 - turn}")),
        "two words": finding(lambda turn: Search(text=f"word{turn} word{turn + 40}")),
        "three words, address": finding(lambda turn: Search(text=f"word0 word1 user{turn}@big.example")),
        "two frequent that rarely meet": finding(lambda turn: Search(text=f"own{turn}.example big.example")),
        "two frequent that never meet": finding(lambda _: Search(text="main.example big.example", listener="none")),
        "frequent domain, a day of last week": finding(
            lambda turn: Search(domain="main.example", since=now - 7 * 86_400 - turn, until=now - 6 * 86_400)
        ),
        "outcome": finding(lambda _: Search(outcome="quarantined")),
        "rare outcome": finding(lambda _: Search(outcome="cancelled")),
        "waiting": finding(lambda _: Search(outcome="waiting")),
        "frequent domain, rare outcome": finding(lambda _: Search(domain="main.example", outcome="cancelled")),
        "frequent domain, frequent outcome": finding(lambda _: Search(domain="main.example", outcome="refused")),
        "listener": finding(lambda _: Search(listener="submission")),
        "an hour of last week": finding(
            lambda turn: Search(since=now - 7 * 86_400 - turn, until=now - 7 * 86_400 + 3600)
        ),
        "a page far back": far_back,
        "of a manager": finding(lambda _: Search(), manager),
        "of a manager, by word": finding(lambda turn: Search(text=f"word{turn}"), manager),
        "of a manager, by outcome": finding(lambda _: Search(outcome="refused"), manager),
        "trace": lambda turn: trace.trace(desk, ids[-turn * 3331 - 1]),
        "outcomes of 24 h, oldest, held": counts,
        "waiting mail": lambda _: waiting.waiting_mail(desk, waiting.Filter()),
        "waiting mail of a domain": lambda _: waiting.waiting_mail(desk, waiting.Filter(domain="main.example")),
        "destinations": lambda _: waiting.destinations(desk, waiting.Filter()),
        "quarantine": lambda _: quarantine.list_held(desk, quarantine.Filter()),
        "quarantine by recipient": lambda _: quarantine.list_held(desk, quarantine.Filter(recipient="main.example")),
        "audit": lambda _: audit_log.read_audit(desk, audit_log.AuditFilter(), limit=50),
        "audit by who": lambda _: audit_log.read_audit(desk, audit_log.AuditFilter(who="user3"), limit=50),
    }


async def _measure(queries: dict[str, Query]) -> dict[str, tuple[float, float]]:
    taken: dict[str, tuple[float, float]] = {}
    for name, query in queries.items():
        times = []
        for turn in range(_ROUNDS):
            started = time.perf_counter()
            await query(turn)
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        taken[name] = times[len(times) // 2], times[-1 - len(times) // 20]
        _say(f"{name:40} {taken[name][0]:8.1f} {taken[name][1]:8.1f} ms")
    return taken


async def _while_pruning(
    desk: Desk, load: Load, queries: dict[str, Query]
) -> tuple[dict[str, tuple[float, float]], float]:
    """Measure some searches while a third of everything is forgotten; return them, and messages forgotten a second."""
    rules = RetentionRules(trace_days=20, quarantine_days=0)
    started = time.perf_counter()
    pruning = asyncio.create_task(Retention(desk, lambda: None).forget(rules, load.now))
    some = ("frequent domain", "two words", "frequent domain, rare outcome", "trace")
    taken = await _measure({f"{name}, while pruning": queries[name] for name in some})
    # Not to its end: how fast it goes is known by then.
    await asyncio.sleep(20)
    pruning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pruning
    async with desk.database.reading() as connection:
        left = (await connection.execute(text("SELECT count(*) FROM messages"))).scalar_one()
    return taken, (load.count - left) / (time.perf_counter() - started)


async def bench(database: Database, count: int, folder: Path) -> tuple[dict[str, tuple[float, float]], float]:
    """Fill a database, measure everything on it."""
    await database.migrate()
    load = Load(count, time.time())
    await _fill(database, load)
    settings = settings_for(database, folder)
    domains = frozenset(f"own{number}.example" for number in range(3))
    desk = Desk(settings, database, Caller("bench", Role.ADMINISTRATOR))
    manager = Desk(settings, database, Caller("manager", Role.DOMAIN_MANAGER, domains, Via.BROWSER))
    queries = _queries(desk, manager, load)
    taken = await _measure(queries)
    pruned, rate = await _while_pruning(desk, load, queries)
    return taken | pruned, rate


@contextlib.asynccontextmanager
async def _database(folder: Path, *, sqlite: bool) -> AsyncIterator[Database]:
    for cluster in [None] if sqlite else private_cluster():
        if cluster is None and not sqlite:
            sys.exit("PostgreSQL is not installed")
        url = f"sqlite+aiosqlite:///{folder}/bench.db" if cluster is None else await cluster.fresh("bench")
        database = Database(url)
        try:
            yield database
        finally:
            await database.close()


def _table(taken: dict[str, tuple[float, float]], rate: float, count: int, kind: str) -> str:
    lines = [
        f"| on {kind}, {count * EVENTS_PER_MESSAGE:,} events of {count:,} messages | p50 ms | p95 ms |",
        "|---|---:|---:|",
    ]
    lines += [f"| {name} | {middle:.1f} | {high:.1f} |" for name, (middle, high) in taken.items()]
    return "\n".join([*lines, "", f"Pruning beside it: {rate:.0f} messages a second, in batches of 200."])


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _write(table: str, kind: str) -> None:
    page = _PAGE.read_text(encoding="utf-8")
    begin, end = (mark.replace("search", f"search {kind}") for mark in _MARKS)
    before, found, rest = page.partition(begin)
    if not found:
        sys.exit(f"{_PAGE} has no {begin}")
    _PAGE.write_text(f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


async def _main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sqlite", action="store_true", help="a tenth of it, on SQLite")
    asked.add_argument("--messages", type=int, default=0, help="how many; 715,000 make five million events")
    asked.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = asked.parse_args()
    count = options.messages or (71_500 if options.sqlite else 715_000)
    kind = "SQLite" if options.sqlite else "PostgreSQL"
    with tempfile.TemporaryDirectory() as name:
        async with _database(Path(name), sqlite=options.sqlite) as database:
            taken, rate = await bench(database, count, Path(name))
    table = _table(taken, rate, count, kind)
    _say("\n" + table)
    if options.write:
        _write(table, kind)
    slow = [name for name, (_, high) in taken.items() if high > LIMIT_MS]
    if slow:
        _say(f"\nOver {LIMIT_MS:.0f} ms: {', '.join(slow)}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
