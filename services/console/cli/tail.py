"""`gatepost tail`: events as they are written; `gatepost drain`: whether a machine can be taken down now."""

import contextlib
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from services.console.answers.drain import Drain
from services.console.answers.live import LiveEvent
from services.console.cli.api import Api, part
from services.console.cli.frame import ask, say, say_json, when
from services.console.export import json_line
from services.console.web.cursor import Page


def tail(
    address: Annotated[str, typer.Option(help="Only of this sender, recipient, login or client.")] = "",
    domain: Annotated[str, typer.Option(help="Only from or to this domain.")] = "",
    kind: Annotated[str, typer.Option(help="Only of this kind: received, judged, delivered, …")] = "",
    message: Annotated[str, typer.Option("--id", help="Only of this id.")] = "",
    last: Annotated[int, typer.Option(min=0, max=1000, help="First so many that were there before.")] = 10,
    count: Annotated[int, typer.Option(min=0, help="End after so many; 0: never.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a line of JSON per event.")] = False,
) -> None:
    """Show events as they are written, until Ctrl-C. A message that was found once is followed to its end."""
    wanted = {"address": address, "domain": domain, "kind": kind, "id": message}
    with contextlib.suppress(KeyboardInterrupt):
        ask(lambda api: _show(api, wanted, last, count, as_json=as_json))


async def _show(api: Api, wanted: dict[str, str], last: int, count: int, *, as_json: bool) -> None:
    shown, after = 0, ""
    if last:
        for event in (await api.get("/events", Page[LiveEvent], limit=last, **wanted)).items:
            _say(event, as_json=as_json)
            shown, after = shown + 1, max(after, event.uid)
            if shown == count:
                return
    # A stream ends after a while: so a token that ended meanwhile does not listen on.
    while True:
        async with contextlib.aclosing(api.events("/events", LiveEvent, after=after, **wanted)) as fresh:
            async for event in fresh:
                _say(event, as_json=as_json)
                shown, after = shown + 1, max(after, event.uid)
                if shown == count:
                    return


def show_drain(
    host: Annotated[str, typer.Argument(help="As the broker sees it: an address; else every host.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say whether a machine can be taken down now, and why or why not. Ends with 1 for a no."""

    async def find(api: Api) -> list[Drain]:
        return [await api.get(f"/drain/{part(host)}", Drain)] if host else await api.get("/drain", list[Drain])

    found = ask(find)
    if as_json:
        say_json([asdict(one) for one in found])
    else:
        for one in found:
            _say_drain(one)
    raise typer.Exit(0 if all(one.can for one in found) else 1)


def _say(event: LiveEvent, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json_line(asdict(event)))
        sys.stdout.flush()
    else:
        say(f"{when(event.at)}  {event.id}  {event.stage:<8} {event.text}")


def _say_drain(one: Drain) -> None:
    runs = [f"{presence.service} ({presence.in_hand} in hand)" for presence in one.services]
    runs += ["RabbitMQ"] if one.is_broker else []
    say(f"{one.host}: {'yes' if one.can else 'NO'}; runs {', '.join(runs)}", "green" if one.can else "red")
    for why in one.why_not:
        say(f"  why not: {why}.")
    for why in one.meanwhile:
        say(f"  meanwhile: {why}.")
    for step in one.how if one.can else ():
        say(f"  {step}")
