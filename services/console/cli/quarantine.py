"""`gatepost quarantine list | show | release | delete`."""

import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer

from services.console.actions import quarantine
from services.console.actions.quarantine import Filter, Held
from services.console.actions.readable import readable
from services.console.cli.frame import fail, out, plain, run, say, say_json, table, when

app = typer.Typer(no_args_is_help=True, help="Mail that is held back: look at it, release it, delete it.")

Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]
Part = Annotated[str | None, typer.Option(help="One copy of several, as `list` shows it; else all.")]


@app.command("list")
def list_held(
    *,
    state: Annotated[str, typer.Option(help="held, released, deleted or all.")] = "held",
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    sender: Annotated[str | None, typer.Option(help="Only senders with this text.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only recipients with this text.")] = None,
    hours: Annotated[float | None, typer.Option(help="Only of the last so many hours.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List quarantined mail."""
    if state not in ("held", "released", "deleted", "all"):
        raise typer.BadParameter("expected held, released, deleted or all", param_hint="--state")
    since = time.time() - hours * 3600 if hours is not None else None
    wanted = Filter(None if state == "all" else state, reason, sender, recipient, since, limit)
    found = run(lambda desk: quarantine.list_held(desk, wanted))
    if as_json:
        say_json([_facts(held) for held in found])
        return
    if not found:
        say("Nothing is in quarantine." if state == "held" else "Nothing is found.")
        return
    shown = table("id", "part", "received (UTC)", "reason", "sender", "recipients", "subject", "state")
    for held in found:
        texts = (held.id, held.part, when(held.received_at), held.reason, held.sender, held.recipients, held.subject)
        shown.add_row(*map(plain, texts), plain(held.state))
    out().print(shown)


@app.command()
def show(
    message_id: Id,
    part: Part = None,
    raw: Annotated[bool, typer.Option("--raw", help="Write the message's bytes as they are, for a file.")] = False,
) -> None:
    """Show a quarantined mail: why it is held, its header and its text, with everything odd escaped."""
    copies = run(lambda desk: quarantine.find(desk, message_id, part))
    if raw:
        if len({copy.message for copy in copies}) > 1:
            fail("several copies differ: choose one with --part")
        sys.stdout.buffer.write(copies[0].message)
        return
    for copy in copies:
        _print(copy)


@app.command()
def release(
    message_id: Id,
    part: Part = None,
    unexamined: Annotated[
        bool, typer.Option("--unexamined", help="Also mail that no check ever looked at, not even for malware.")
    ] = False,
) -> None:
    """Hand a held mail to delivery, under its own id."""
    for copy in run(lambda desk: quarantine.release(desk, message_id, part, unexamined=unexamined)):
        say(f"{copy.id} ({copy.part}) is released to {copy.recipients}; follow it with: gatepost trace {copy.id}")


@app.command()
def delete(
    message_id: Id,
    part: Part = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a held mail for good; what is left is that it was there."""
    if not yes:
        typer.confirm(f"Delete {message_id} from quarantine for good?", abort=True)
    for copy in run(lambda desk: quarantine.delete(desk, message_id, part)):
        say(f"{copy.id} ({copy.part}) is deleted.")


def _facts(held: Held) -> dict[str, object]:
    facts = asdict(held)
    for name in ("message", "headers", "envelope", "message_type"):
        del facts[name]
    return facts


def _print(copy: Held) -> None:
    say(f"{copy.id} part {copy.part}: {copy.state} since {when(copy.state_at)} UTC", "bold")
    by = f" by check {copy.check}" if copy.check else ""
    for label, value in (
        ("Reason", f"{copy.reason}{by}"),
        ("Evidence", copy.evidence),
        ("Envelope", f"from <{copy.sender or ''}> to {copy.recipients or '(not readable)'}"),
        ("Received", f"{when(copy.received_at)} UTC, {copy.size_bytes} octets"),
    ):
        say(f"{label}: {value}")
    if copy.state == "deleted":
        return
    text = readable(copy.message)
    say("")
    for line in text.header:
        say(line)
    say("")
    for line in text.body:
        say(line)
    say(f"({text.note})", "dim")
    say("")
