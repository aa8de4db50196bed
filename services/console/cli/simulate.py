"""`gatepost simulate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.console.answers.simulate import Judged, Simulated
from services.console.cli.frame import ask, fail, out, plain, say, say_json, table

_STYLES = {"passes": "green", "refused": "red", "depends": "yellow"}


def show(
    client: Annotated[str, typer.Argument(metavar="ADDRESS", help="The client's IP address.")],
    recipients: Annotated[list[str], typer.Argument(metavar="RECIPIENT…", help="RCPT TO.")],
    *,
    sender: Annotated[str, typer.Option("--from", metavar="SENDER", help="MAIL FROM; else the null sender.")] = "",
    listener: Annotated[str, typer.Option(help="The listener of the edge.")] = "mx",
    helo: Annotated[str, typer.Option(help="The name in HELO.")] = "",
    name: Annotated[str, typer.Option(help="The client's confirmed host name.")] = "",
    login: Annotated[str, typer.Option(help="Who has logged in.")] = "",
    size_bytes: Annotated[int, typer.Option("--size", metavar="OCTETS", min=0, help="The message's size.")] = 0,
    message: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The message itself: content's checks are asked, too. It is not delivered."),
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="The session runs over TLS.")] = False,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="A document to ask; else the policy in force.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a message would meet today, step by step. Ends with 1 if it would be refused, held back or put off."""
    if message is not None and policy is not None:
        raise typer.BadParameter("content judges by the policy in force: leave --policy out", param_hint="--message")
    try:
        draft = policy.read_text(encoding="utf-8") if policy is not None else None
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{policy}: {error}")
    try:
        octets = message.read_bytes() if message is not None else None
    except OSError as error:
        fail(f"{message}: {error}")
    asked = {
        "client": client,
        "listener": listener,
        "sender": sender,
        "recipients": recipients,
        "helo": helo,
        "name": name or None,
        "tls": tls,
        "login": login or None,
    }
    if octets is not None:
        found = ask(lambda api: api.hand_in("/simulate/message", Simulated, octets, **asked))
    else:
        more = {"size_bytes": size_bytes, "text": draft}
        found = ask(lambda api: api.post("/simulate", Simulated, asked | more))
    if as_json:
        say_json(asdict(found))
    else:
        shown = table("question", "answer", "because", "key of the policy")
        for step in found.steps:
            answer = plain(step.meets.value)
            answer.stylize(_STYLES[step.meets.value])
            shown.add_row(plain(step.what), answer, plain(step.says), plain(step.rule))
        out().print(shown)
        if found.judged:
            say_judged(found.judged)
        for one in found.not_told:
            say(f"Note: {one}")
    held_back = found.judged is not None and not found.judged.lets_through
    raise typer.Exit(1 if found.ends_at or held_back else 0)


def say_judged(judged: Judged) -> None:
    """Print what content makes of a message."""
    say("")
    say("What content makes of it", "bold")
    for line in (*judged.seen[:1], *(f"  {line}" for line in judged.seen[1:])):
        say(line)
    for line in (*judged.verdict[:1], *(f"  {line}" for line in judged.verdict[1:])):
        say(line)
    say("")
    say("In short", "bold")
    for line in (*judged.in_short, f"The client would be told: {judged.reply}"):
        say(f"  {line}", "green" if judged.lets_through else "red")
    say("It was a trial: nothing is delivered, held, counted or learned.")
