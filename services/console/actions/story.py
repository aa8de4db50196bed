"""The story of one message for whoever asks for it (I/O: SQL through the trace)."""

from dataclasses import dataclass

from services.console.actions.desk import Desk
from services.console.actions.search import FoundMessage, Search, find_messages
from services.console.actions.trace import Member, Trace, trace
from services.console.story.tell import Step, in_order, in_short, steps
from services.console.story.told import Told


@dataclass(frozen=True, slots=True)
class Story:
    """A message's story. message: its row. in_short: how it ended or stands. family: what it was split into, and so on.

    held: the ids of which a copy is in quarantine now. is_cut: the family is larger. leaves_out: so are recipients who
    are not of the caller's domains. events: as the stages told them.
    """

    id: str
    message: FoundMessage | None
    in_short: list[str]
    steps: list[Step]
    family: list[Member]
    held: list[str]
    is_cut: bool
    leaves_out: bool
    events: list[Told]


async def story_of(desk: Desk, text: str) -> Story:
    """Return the story of an id. Raises ActionError."""
    found = await trace(desk, text)
    rows = (await find_messages(desk, Search(text=found.id))).items
    return _story(found, rows[0] if rows else None)


def _story(found: Trace, message: FoundMessage | None) -> Story:
    return Story(
        found.id,
        message,
        in_short(found.events),
        steps(found.events),
        list(found.members),
        list(found.held),
        found.is_cut,
        found.leaves_out,
        list(in_order(found.events)),
    )
