"""Stories written into a database as the recorder writes them, and desks of callers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from services.console.actions.desk import Desk
from services.console.database import Database
from services.console.identity.rights import Caller, Role, Via
from services.console.rows import Summary, event_rows
from services.console.store import Store
from shared.event import Event, EventKind, Stage, encode_events
from shared.ids import make_id
from tests.integration.console.mail import event
from tests.integration.console.web_settings import settings_for

DAY = 1_790_000_000.0


def id_at(at: float, number: int = 0) -> str:
    """Return the id of a moment; ids of one moment stand in the order of their numbers."""
    return make_id(round(at * 1000), number)


async def write(database: Database, *stories: Iterable[Event]) -> None:
    """Write each story as a batch of its own."""
    store = Store(is_sqlite=database.is_sqlite)
    async with database.writing() as connection:
        for story in stories:
            summaries: dict[str, Summary] = {}
            rows = event_rows(encode_events(list(story)), summaries)
            await store.write_events(connection, rows, summaries)


def mail(at: float, sender: str, *recipients: str, number: int = 0, **facts: Any) -> list[Event]:
    """Return a message that was received at a moment."""
    plain = {"client": "192.0.2.7", "listener": "mx", "subject": "", "size_bytes": 100} | facts
    name = id_at(at, number)
    return [event(name, Stage.EDGE, EventKind.RECEIVED, at, sender=sender, recipients=[*recipients], **plain)]


def delivered(story: list[Event], at: float) -> list[Event]:
    """Return a story that ends with its delivery."""
    name = story[0].id
    recipients = story[0].facts["recipients"]
    done = event(
        name, Stage.DELIVERY, EventKind.DELIVERED, at, hop="smtp://h:25", recipients=recipients, reply="250 ok"
    )
    return [*story, done]


def desk_of(database: Database, folder: Path, *domains: str) -> Desk:
    """Return the desk of an administrator, or of the manager of some domains."""
    role = Role.DOMAIN_MANAGER if domains else Role.ADMINISTRATOR
    return Desk(settings_for(database, folder), database, Caller("test", role, frozenset(domains) or None, Via.BROWSER))
