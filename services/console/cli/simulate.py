"""`gatepost simulate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.console.answers.simulate import Simulated
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
    tls: Annotated[bool, typer.Option("--tls", help="The session runs over TLS.")] = False,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="A document to ask; else the policy in force.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a message would meet today, step by step. Ends with 1 if it would be refused."""
    try:
        draft = policy.read_text(encoding="utf-8") if policy is not None else None
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{policy}: {error}")
    asked = {
        "client": client,
        "listener": listener,
        "sender": sender,
        "recipients": recipients,
        "helo": helo,
        "name": name or None,
        "tls": tls,
        "login": login or None,
        "size_bytes": size_bytes,
        "text": draft,
    }
    found = ask(lambda api: api.post("/simulate", Simulated, asked))
    if as_json:
        say_json(asdict(found))
    else:
        shown = table("question", "answer", "because", "key of the policy")
        for step in found.steps:
            answer = plain(step.meets.value)
            answer.stylize(_STYLES[step.meets.value])
            shown.add_row(plain(step.what), answer, plain(step.says), plain(step.rule))
        out().print(shown)
        for one in found.not_told:
            say(f"Note: {one}")
    raise typer.Exit(1 if found.ends_at else 0)
