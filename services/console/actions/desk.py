"""Where an action works (I/O): the database, a publisher when one is needed, and who acts.

Owns: `Desk`, opened for one command or one request, and that a caller's domains bound what an action does.
On failure: ActionError, whose text is for the administrator.
"""

import contextlib
import getpass
import json
import os
import time
from collections.abc import AsyncIterator, Mapping

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.errors import ActionError, NotFound, NotUnderstood, OutOfBounds
from services.console.database import Database
from services.console.identity.rights import Caller, on_this_host
from services.console.rows import Summary, event_rows
from services.console.settings import ConsoleSettings
from services.console.store import Store
from services.console.tables import audit
from shared.broker.connect import Link
from shared.broker.publish import Publisher, PublishError
from shared.broker.topology import Exchange, Key
from shared.event import Event, EventKind, Facts, Stage, encode_events
from shared.ids import new_id

__all__ = ["ActionError", "Desk", "NotFound", "NotUnderstood", "OutOfBounds", "open_desk", "os_user"]
# Short, for a transaction waits for it, and behind that the recorder.
_PUBLISH_DEADLINE_S = 5.0


class Desk:
    """What one action needs. caller: who acts. publisher: a way to the broker that stays open after the action."""

    def __init__(
        self, settings: ConsoleSettings, database: Database, caller: Caller, publisher: Publisher | None = None
    ) -> None:
        self.settings = settings
        self.database = database
        self.caller = caller
        self._link: Link | None = None
        self._publisher = publisher

    @property
    def who(self) -> str:
        """The name that stands in the audit."""
        return self.caller.name

    def must_cover(self, *domains: str) -> None:
        """Raise OutOfBounds unless each domain, or domain of an address, is one of the caller's."""
        for domain in domains:
            if not self.caller.covers(domain):
                raise OutOfBounds(f"{domain} is not of your domains")

    def must_see_all(self, what: str) -> None:
        """Raise OutOfBounds if the caller's domains bound them. what: the thing that is of no domain."""
        if not self.caller.sees_all:
            raise OutOfBounds(f"{what}: that is not for who is in charge of single domains")

    @property
    def publisher(self) -> Publisher:
        """The way to the broker, opened at the first use."""
        if self._publisher is None:
            self._link = Link(self.settings.broker, "gatepost-command")
            self._publisher = Publisher(self._link)
            self._link.start()
        return self._publisher

    async def publish(
        self,
        exchange: Exchange,
        key: Key,
        body: bytes,
        *,
        else_: str,
        message_type: str,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        content_type: str = "application/json",
    ) -> None:
        """Publish with a confirm. Raises ActionError, which says what else holds then."""
        try:
            await self.publisher.publish(
                exchange.value,
                key.value,
                body,
                headers=headers,
                message_type=message_type,
                message_id=message_id,
                content_type=content_type,
                deadline_s=_PUBLISH_DEADLINE_S,
            )
        except PublishError as error:
            raise ActionError(f"the broker did not take it, so {else_}: {error.reason}") from None

    async def note(self, connection: AsyncConnection, action: str, target: str, **details: object) -> None:
        """Write the audit row of an action, in the action's own transaction."""
        row = {
            "uid": new_id(),
            "at": time.time(),
            "who": self.who,
            "action": action,
            "target": target,
            "details": json.dumps(details, default=str),
            "address": self.caller.address,
            "via": self.caller.via.value,
        }
        await connection.execute(insert(audit), [row])

    async def tell(
        self, connection: AsyncConnection, message_id: str, kind: EventKind, facts: Facts, *, at: float | None = None
    ) -> None:
        """Write our own event where the recorder would: in the same transaction, so that no trace misses it.

        at: Unix seconds, where others may go on with the message before it is written; else now.
        """
        event = Event(new_id(), message_id, time.time() if at is None else at, Stage.CONSOLE, "", kind, facts)
        summaries: dict[str, Summary] = {}
        rows = event_rows(encode_events([event]), summaries)
        await Store(is_sqlite=self.database.is_sqlite).write_events(connection, rows, summaries)

    async def close(self) -> None:
        """Close the broker link, if there is one."""
        if self._link is not None:
            await self._link.close()


@contextlib.asynccontextmanager
async def open_desk(settings: ConsoleSettings, caller: Caller, *, migrate: bool = True) -> AsyncIterator[Desk]:
    """Open the database, bringing its tables to this version, and close all at the end. Raises ActionError.

    migrate: False for actions that have something to say without a database, too.
    """
    database = Database(settings.database.url.get_secret_value())
    desk = Desk(settings, database, caller)
    try:
        try:
            if migrate:
                await database.migrate()
        except OSError as error:
            raise ActionError(f"the database {database.where} cannot be reached: {error}") from error
        yield desk
    except SQLAlchemyError as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ActionError(f"the database {database.where} does not do it: {first}") from error
    finally:
        await desk.close()
        await database.close()


def os_user() -> Caller:
    """Return who runs this process, and through whom: whoever can read the settings may do everything."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    through = os.environ.get("SUDO_USER")
    return on_this_host(f"{through} as {user}" if through and through != user else user)
