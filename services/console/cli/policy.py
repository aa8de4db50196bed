"""`gatepost policy check | show | apply | history | diff | confirm | take-back | rollback`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from services.console.actions.errors import ActionError
from services.console.answers.bans import parse_length
from services.console.answers.policy import Applied, Diff, Version, Versions
from services.console.cli.api import Api
from services.console.cli.frame import ask, fail, out, plain, say, say_document, say_json, table, when
from services.console.versions import Standing, difference
from services.console.web.cursor import LIMIT
from shared.policy import PolicyError, parse_policy
from shared.policy_entry import PolicyEntry

app = typer.Typer(no_args_is_help=True, help="The administrator's rules: check, show and apply the policy document.")
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the history.")]
Number = Annotated[int, typer.Argument(min=1, metavar="VERSION", help="A version of the history.")]
Within = Annotated[
    str,
    typer.Option(
        "--confirm-within",
        metavar="LENGTH",
        help="As 90s or 10min: every stage goes back by itself then, unless `gatepost policy confirm` is said before.",
    ),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A policy document (TOML).")]


@dataclass(frozen=True, slots=True)
class Now:
    """What is in force; the API tells more."""

    entry: PolicyEntry


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

    async def find(api: Api) -> PolicyEntry:
        if version is not None:
            return await _version(api, version)
        return await _in_force(api, 'gatepost policy apply FILE --reason "…"')

    entry = ask(find)
    # As comments, so that the output is itself a document that can be applied.
    lines = [f"version {entry.version} of {when(entry.at)} UTC by {entry.author}", f"reason: {entry.reason}"]
    if entry.confirm_by is not None:
        lines.append(f"to be confirmed by {when(entry.confirm_by)} UTC")
    for line in lines:
        say("# " + line.replace("\n", " "))
    say_document(entry.text)


@app.command()
def apply(file: File, reason: Reason, confirm_within: Within = "") -> None:
    """Make a document the policy in force, and show what changes."""
    text, why, within_s = _read(file), _reason(reason), _within(confirm_within)
    try:
        parse_policy(text)
    except PolicyError as error:
        _complain(file, error)
    new = {"text": text, "reason": why, "confirm_within_s": within_s}
    done = ask(lambda api: api.post("/policy", Applied, new))
    if not done.is_new:
        say(f"{file} is in force already, as version {done.entry.version}.")
        return
    _done(done)


@app.command("rollback")
def roll_back(version: Number, reason: Reason, confirm_within: Within = "") -> None:
    """Make the document of an earlier version the one in force, as a new version."""
    why, within_s = _reason(reason), _within(confirm_within)
    asked = {"reason": why, "confirm_within_s": within_s}
    done = ask(lambda api: api.post(f"/policy/versions/{version}/rollback", Applied, asked))
    if not done.is_new:
        say(f"Version {done.entry.version}, which is in force, says the same.")
        return
    _done(done)


@app.command()
def confirm(version: Number) -> None:
    """Have a version that waits for its confirmation stay."""
    done = ask(lambda api: api.post("/policy/confirm", Applied, {"version": version}))
    say(f"Version {version} is confirmed, and stays: it is version {done.entry.version} now.")


@app.command("take-back")
def take_back(
    version: Number, reason: Annotated[str, typer.Option(help="Why; it stands in the history.")] = ""
) -> None:
    """Put the version before in the place of one that waits, at once."""
    which = {"version": version, "reason": reason.strip()}
    _done(ask(lambda api: api.post("/policy/take-back", Applied, which)))


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List the versions, and what became of each."""
    found = ask(lambda api: _versions(api, limit))
    if as_json:
        say_json([asdict(one) for one in found.items])
        return
    if found.problem:
        say(f"Which version is in force is not known: {found.problem}")
    shown = table("version", "when (UTC)", "by", "what became of it", "why")
    for one in found.items:
        became = one.standing.value
        if one.confirm_by is not None and one.standing in (Standing.WAITS, Standing.WENT_BACK):
            became += f" {'until' if one.standing is Standing.WAITS else 'at'} {when(one.confirm_by)}"
        shown.add_row(*map(plain, (one.version, when(one.at), one.author, became, one.reason)))
    out().print(shown)


@app.command("diff")
def compare(
    old: Annotated[int, typer.Argument(min=1, metavar="OLD", help="A version.")],
    new: Annotated[int | None, typer.Argument(min=1, metavar="[NEW]", help="Another; else the one in force.")] = None,
) -> None:
    """Show the difference of any two versions."""

    async def find(api: Api) -> str:
        if new is not None:
            return (await api.get("/policy/diff", Diff, old=old, new=new)).diff
        entry = await _in_force(api, "name both versions")
        return difference(await _version(api, old), entry)

    say_document(ask(find))


async def _version(api: Api, version: int) -> PolicyEntry:
    return await api.get(f"/policy/versions/{version}", PolicyEntry)


async def _in_force(api: Api, hint: str) -> PolicyEntry:
    try:
        return (await api.get("/policy", Now)).entry
    except ActionError as error:
        if error.status != 404:
            raise
        raise ActionError(f"{error}: {hint}") from None


async def _versions(api: Api, limit: int) -> Versions:
    found: list[Version] = []
    page = Versions([], "")
    while page.next is not None and len(found) < limit:
        page = await api.get(
            "/policy/versions", Versions, limit=min(LIMIT, limit - len(found)), cursor=page.next or None
        )
        found += page.items
    return Versions(found, page.next, page.problem)


def _done(done: Applied) -> None:
    say_document(done.diff)
    entry = done.entry
    say(f"Version {entry.version} is in force.")
    if entry.confirm_by is not None:
        say(
            f"It goes back by itself at {when(entry.confirm_by)} UTC, unless you say: "
            f"gatepost policy confirm {entry.version}"
        )
    for note in done.notes:
        say(f"Note: {note}.")


def _reason(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("say in a few words why", param_hint="--reason")
    return reason.strip()


def _within(text: str) -> int | None:
    if not text:
        return None
    try:
        return parse_length(text)
    except ActionError as error:
        raise typer.BadParameter(str(error), param_hint="--confirm-within") from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error}")


def _complain(file: Path, error: PolicyError) -> None:
    fail("\n".join([f"{file} cannot be used:", *(f"  {part}" for part in str(error).split("; "))]))
