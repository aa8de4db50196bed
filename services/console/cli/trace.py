"""`gatepost trace ID`: the story of a message or a refused session, in plain words."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from services.console.answers.messages import Member
from services.console.cli.api import part
from services.console.cli.frame import ask, out, plain, say, say_json, table, when
from services.console.story.tell import in_order, in_short, tell
from services.console.story.told import Told


@dataclass(frozen=True, slots=True)
class Trace:
    """What the command shows of a story; the API tells more."""

    id: str
    family: list[Member]
    events: list[Told]
    is_cut: bool

    @property
    def parents(self) -> dict[str, str | None]:
        """Each id of the family with what it was made of."""
        return {member.id: member.parent for member in self.family} or {self.id: None}


def show(
    message_id: Annotated[str, typer.Argument(metavar="ID", help="From a reply, a log line or a Received field.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell what happened to a message: each stage, check and attempt, what decided, and what its sender may do."""
    found = ask(lambda api: api.get(f"/messages/{part(message_id)}", Trace))
    if as_json:
        say_json(
            {
                "id": found.id,
                "family": found.parents,
                "in_short": in_short(found.events),
                "events": [asdict(event) for event in in_order(found.events)],
            }
        )
        return
    _print(found)


def _print(found: Trace) -> None:
    lines = table("time (UTC)", "stage", "what happened")
    many = len(found.parents) > 1
    for line in tell(found.events):
        text = plain(f"  {line.text}" if line.detail else line.text)
        if many and not line.detail and line.id != found.id:
            text = plain(f"[{line.id}] ").append_text(text)
        lines.add_row("" if line.detail else when(line.at), "" if line.detail else plain(line.stage), text)
    say(f"Message {found.id}", "bold")
    for name, parent in found.parents.items():
        if parent is not None:
            say(f"  {name} was made of {parent}")
    if found.is_cut:
        say("  (the family is larger; this is its first part)")
    out().print(lines)
    say("")
    say("In short", "bold")
    for sentence in in_short(found.events):
        say(f"  {sentence}")
