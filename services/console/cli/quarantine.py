"""`gatepost quarantine list | show | judge | release | allow | delete | learn`."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from services.console.actions.errors import ActionError
from services.console.actions.readable import readable
from services.console.answers.quarantine import Class, Gone, Item, Told
from services.console.answers.simulate import Judged
from services.console.cli.api import Api, Away, Got
from services.console.cli.api import part as segment
from services.console.cli.frame import ask, fail, out, plain, say, say_json, say_octets, steps, table, when
from services.console.cli.simulate import say_judged
from services.console.web.cursor import Page

app = typer.Typer(no_args_is_help=True, help="Mail that is held back: look at it, release it, delete it.")

Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="As `list` shows it; several, too.")]
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
    wanted = {"state": state, "reason": reason, "sender": sender, "recipient": recipient, "since": since}
    found = ask(lambda api: api.pages("/quarantine", Page[Item], limit, **wanted))
    if as_json:
        say_json([asdict(held) for held in found])
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
    if raw:
        say_octets(ask(lambda api: api.octets(f"{_path(message_id)}/raw", part=part)))
        return

    async def read(api: Api) -> list[tuple[Told, bytes]]:
        return [
            (told, await _message(api, told.item)) for told in await api.get(_path(message_id), list[Told], part=part)
        ]

    for told, message in ask(read):
        _print(told, message)


@app.command()
def judge(
    message_id: Id,
    part: Part = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what content makes of a held mail today; it stays as it is. Ends with 1 if it would be held back again."""
    judged = ask(lambda api: api.post(f"{_path(message_id)}/judge", Judged, {"part": part}))
    if as_json:
        say_json(asdict(judged))
    else:
        say_judged(judged)
    raise typer.Exit(0 if judged.lets_through else 1)


@app.command()
def release(
    message_ids: Ids,
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
    wish = {"part": part, "rules": rule or [], "again": again, "unexamined": unexamined}
    done, problems = ask(lambda api: _each(api, message_ids, "release", Gone, wish))
    for one in done:
        recipients = ", ".join(one.recipients)
        past = f" past {', '.join(one.rules)}" if one.rules else ""
        if again:
            how = f"is judged again by today's policy, and let{past}" if past else "is judged again by today's policy"
        else:
            how = f"is released to {recipients}{past}, whole"
        say(f"{one.id} {how}; follow it with: gatepost trace {one.id}")
    _complain(problems)


@app.command()
def allow(
    message_id: Id,
    part: Annotated[str, typer.Option(help="The copy, as `list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; it stands beside the exemption in the policy.")],
) -> None:
    """Release a held mail, and let its sender through to its recipients' domains from now on."""
    wanted = {"part": part, "reason": reason}
    for one in ask(lambda api: api.post(f"{_path(message_id)}/allow", list[Gone], wanted)):
        say(f"{one.id} is released to {', '.join(one.recipients)}, and its sender is let through from now on.")


@app.command()
def delete(
    message_ids: Ids,
    part: Part = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a held mail for good; what is left is that it was there."""
    if not yes:
        typer.confirm(f"Delete {', '.join(message_ids)} from quarantine for good?", abort=True)
    done, problems = ask(lambda api: _each(api, message_ids, "delete", Item, {"part": part}))
    for copy in done:
        say(f"{copy.id} ({copy.part}) is deleted.")
    _complain(problems)


@app.command()
def learn(
    kind: Annotated[Class, typer.Argument(help="What it is: ham (wanted mail) or spam.")],
    message_id: Id,
    part: Part = None,
) -> None:
    """Teach the antispam engine what a mail is, be it held or released; it stays where it is."""
    lesson = {"kind": kind, "part": part}
    for copy in ask(lambda api: api.post(f"{_path(message_id)}/learn", list[Item], lesson)):
        say(f"{copy.id} ({copy.part}) is learned as {kind.value}.")


async def _each(
    api: Api, message_ids: list[str], deed: str, gives: type[Got], body: object
) -> tuple[list[Got], list[str]]:
    """Do something to each; of several, one that cannot be done does not stop the others."""
    done: list[Got] = []
    problems: list[str] = []
    for message_id in steps(message_ids, deed):
        try:
            done += await api.post(f"{_path(message_id)}/{deed}", list[gives], body)  # type: ignore[valid-type]
        except Away:
            raise
        except ActionError as error:
            problems.append(str(error) if len(message_ids) == 1 else f"{message_id}: {error}")
    return done, problems


def _complain(problems: list[str]) -> None:
    if problems:
        fail("\n".join(problems))


def _path(message_id: str) -> str:
    return f"/quarantine/{segment(message_id)}"


async def _message(api: Api, item: Item) -> bytes:
    """Return the bytes of a copy, none once it is deleted."""
    return b"" if item.state == "deleted" else await api.octets(f"{_path(item.id)}/raw", part=item.part)


def _print(told: Told, message: bytes) -> None:
    copy = told.item
    say(f"{copy.id} part {copy.part}: {copy.state} since {when(copy.state_at)} UTC", "bold")
    for line in (*told.account.why, f"Size: {copy.size_bytes} octets", *told.account.known):
        say(line)
    if copy.state == "deleted":
        return
    text = readable(message)
    say("")
    for line in text.header:
        say(line)
    say("")
    for line in text.body:
        say(line)
    say(f"({text.note})", "dim")
    say("")
