"""`gatepost policy check | show | apply`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.console.actions import policies
from services.console.actions.desk import ActionError, Desk
from services.console.cli.frame import fail, run, say, when
from shared.policy import PolicyError, parse_policy
from shared.policy_entry import PolicyEntry

app = typer.Typer(no_args_is_help=True, help="The administrator's rules: check, show and apply the policy document.")
File = Annotated[Path, typer.Argument(metavar="FILE", help="A policy document (TOML).")]


@app.command()
def check(file: File) -> None:
    """Say whether a document can be used, and which keys are wrong if not. Needs no running gateway."""
    text = _read(file)
    try:
        parsed = parse_policy(text)
    except PolicyError as error:
        _complain(file, error)
    domains = ", ".join(parsed.domains) or "none"
    say(f"{file} can be used. Our domains: {domains}. Listeners: {', '.join(parsed.listeners) or 'none'}.")


@app.command()
def show(
    version: Annotated[int | None, typer.Option(help="A version of the history; else the one in force.")] = None,
) -> None:
    """Show the policy in force, or an earlier one, with who made it, when and why."""

    async def find(desk: Desk) -> PolicyEntry:
        if version is not None:
            return await policies.policy_version(desk, version)
        entry = await policies.active_policy(desk)
        if entry is None:
            raise ActionError('no policy is in force: gatepost policy apply FILE --reason "…"')
        return entry

    entry = run(find)
    # As comments, so that the output is itself a document that can be applied.
    for line in (f"version {entry.version} of {when(entry.at)} UTC by {entry.author}", f"reason: {entry.reason}"):
        say("# " + line.replace("\n", " "))
    sys.stdout.write(entry.text if entry.text.endswith("\n") else entry.text + "\n")


@app.command()
def apply(
    file: File,
    reason: Annotated[str, typer.Option(help="Why; it stands in the history.")],
) -> None:
    """Make a document the policy in force, and show what changes."""
    text = _read(file)
    if not reason.strip():
        raise typer.BadParameter("say in a few words why", param_hint="--reason")
    try:
        parse_policy(text)
    except PolicyError as error:
        _complain(file, error)
    done = run(lambda desk: policies.apply_policy(desk, text, reason.strip()))
    if not done.is_new:
        say(f"{file} is in force already, as version {done.entry.version}.")
        return
    sys.stdout.write(done.diff)
    say(f"Version {done.entry.version} is in force.")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error}")


def _complain(file: Path, error: PolicyError) -> None:
    fail("\n".join([f"{file} cannot be used:", *(f"  {part}" for part in str(error).split("; "))]))
