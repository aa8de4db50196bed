"""`gatepost quarantine list | show | release | delete | learn`."""

import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer

from services.console.actions import learning, quarantine
from services.console.actions.desk import Desk
from services.console.actions.learning import Class
from services.console.actions.quarantine import Filter, Held
from services.console.actions.readable import readable
from services.console.cli.frame import fail, out, plain, run, say, say_json, table, when
from services.console.release import Released, Wish
from services.console.story.held import record, why_held

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
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="Let it past this rule, such as antispam.refuse_at; may be given several times. Without it: past the "
            "rule that decided. `none`, with --again: past no rule.",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Have it judged again by today's policy first.")] = False,
    unexamined: Annotated[
        bool, typer.Option("--unexamined", help="Also mail that no check came to a result on, not even for malware.")
    ] = False,
) -> None:
    """Let a held mail go on from where it stopped, past the named rule alone, under its own id."""

    async def let_go(desk: Desk) -> list[Released]:
        wish = Wish(desk.who, tuple(rule or ()), again=again, unexamined=unexamined, part=part)
        return await quarantine.release(desk, message_id, wish)

    for one in run(let_go):
        recipients = ", ".join(recipient.address for recipient in one.envelope.recipients)
        past = f" past {', '.join(one.rules)}" if one.rules else ""
        if again:
            done = f"is judged again by today's policy, and let{past}" if past else "is judged again by today's policy"
        else:
            done = f"is released to {recipients}{past}, whole"
        say(f"{one.envelope.id} {done}; follow it with: gatepost trace {one.envelope.id}")


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


@app.command()
def learn(
    kind: Annotated[Class, typer.Argument(help="What it is: ham (wanted mail) or spam.")],
    message_id: Id,
    part: Part = None,
) -> None:
    """Teach the antispam engine what a mail is, be it held or released; it stays where it is."""
    for copy in run(lambda desk: learning.learn(desk, message_id, kind, part)):
        say(f"{copy.id} ({copy.part}) is learned as {kind.value}.")


def _facts(held: Held) -> dict[str, object]:
    facts = asdict(held)
    for name in ("message", "headers", "envelope", "message_type"):
        del facts[name]
    return facts


def _print(copy: Held) -> None:
    say(f"{copy.id} part {copy.part}: {copy.state} since {when(copy.state_at)} UTC", "bold")
    envelope = quarantine.envelope_of(copy)
    for line in [*why_held(copy.reason, copy.check, copy.evidence), f"Size: {copy.size_bytes} octets"]:
        say(line)
    for line in record(envelope) if envelope else [f"Received: {when(copy.received_at)} UTC; no readable envelope"]:
        say(line)
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
