"""`gatepost find WORDS`: messages and refused sessions by id, address, domain, IP address, subject, outcome, time."""

import dataclasses
from typing import Annotated

import typer

from services.console.actions.errors import ActionError
from services.console.answers.messages import FoundMessage
from services.console.cli.frame import ask, fail, out, plain, say, say_json, table, when
from services.console.rows import State
from services.console.web.cursor import LIMIT, Page, decode_cursor
from services.console.web.moments import read_moment

_TIME = '"2026-11-24" or "2026-11-24 10:30", UTC.'


def show(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="An id, addresses, @domain, IP address, Message-ID, words of the subject; all must hold."),
    ] = None,
    address: Annotated[str, typer.Option(help="Of a sender or recipient.")] = "",
    domain: Annotated[str, typer.Option(help="Of a sender or recipient; those below it are found, too.")] = "",
    ip: Annotated[str, typer.Option(help="Of the client.")] = "",
    subject: Annotated[str, typer.Option(help="Words of it.")] = "",
    outcome: Annotated[str, typer.Option(help=f"One of: {', '.join(State)}, waiting.")] = "",
    listener: Annotated[str, typer.Option(help="Where it came in.")] = "",
    since: Annotated[str, typer.Option(help=_TIME)] = "",
    until: Annotated[str, typer.Option(help=f"Before {_TIME}")] = "",
    limit: Annotated[int, typer.Option(min=1, max=LIMIT, help="At most so many, the newest first.")] = 25,
    cursor: Annotated[str, typer.Option(help="Go on from where another search ended.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Find messages and refused sessions, the newest first; `gatepost trace ID` tells the story of one."""
    try:
        after, before = read_moment(since), read_moment(until)
    except ActionError as error:
        fail(str(error), code=2)
    search = {
        "q": " ".join(words or []),
        "address": address,
        "domain": domain,
        "ip": ip,
        "subject": subject,
        "outcome": outcome,
        "listener": listener,
        "since": after,
        "until": before,
        "cursor": cursor,
        "limit": limit,
    }
    found = ask(lambda api: api.get("/messages", Page[FoundMessage], **search))
    if as_json:
        say_json(dataclasses.asdict(found))
        return
    _print(found, limit)


def _print(found: Page[FoundMessage], limit: int) -> None:
    lines = table("time (UTC)", "id", "outcome", "from", "to", "subject", "client")
    for one in found.items:
        cells = (when(one.first_seen), one.id, one.state, _sender(one), one.recipients, one.subject, one.client)
        lines.add_row(*map(plain, cells))
    if found.items:
        out().print(lines)
    if found.next is None:
        if not found.items:
            say("Nothing fits. All words must hold; a word with a dot in it is taken for a domain.")
        return
    if len(found.items) < limit:
        say(f"Looked back to {when(decode_cursor(found.next)[0])} so far; older messages may fit.")
    say(f"Older ones: the same with --cursor {found.next}")


def _sender(one: FoundMessage) -> str:
    if one.sender is None:
        return f"(a report on {one.parent})" if one.parent and not one.recipients else ""
    return one.sender or "<>"
