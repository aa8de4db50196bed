"""`gatepost dkim add | list | show | check | switch | rotate | retire | prune`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from services.console.actions import dkim
from services.console.actions.bans import parse_length
from services.console.actions.desk import ActionError
from services.console.actions.dkim import Looked
from services.console.actions.dkim_book import Listed
from services.console.cli.frame import out, plain, run, say, say_json, table, when
from shared.dkim_keys import SIGNATURE_LIFE_S, KeyState, zone_line

app = typer.Typer(no_args_is_help=True, help="Keys that sign outgoing mail: RSA-2048 and Ed25519 together.")
Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain of From.")]
Selector = Annotated[
    str, typer.Option(help="What the two selectors begin with; without it, the next of gp2026a, gp2026b …")
]
Grace = Annotated[
    str, typer.Option("--grace", metavar="LENGTH", help="For how long the old keys are kept, as 12h or 7d.")
]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
_MARKS = {KeyState.PENDING: "waits", KeyState.ACTIVE: "signs", KeyState.RETIRED: "retired"}


@app.command()
def add(domain: Domain, selector: Selector = "", as_json: Json = False) -> None:
    """Make the first keys of a domain; they sign once their records are published and `switch` was run."""
    _tell_made(run(lambda desk: dkim.add_keys(desk, domain, selector)), as_json=as_json)


@app.command()
def rotate(domain: Domain, selector: Selector = "", as_json: Json = False) -> None:
    """Make the next keys of a domain that signs; the present ones sign on until `switch`."""
    _tell_made(run(lambda desk: dkim.add_keys(desk, domain, selector, rotate=True)), as_json=as_json)


@app.command("list")
def list_keys(as_json: Json = False) -> None:
    """List all keys."""
    found = run(dkim.list_keys)
    if as_json:
        say_json([_facts(key) for key in found])
        return
    if not found:
        say("There are no DKIM keys.")
        return
    shown = table("domain", "selector", "algorithm", "state", "since (UTC)", "record needed until (UTC)")
    for key in found:
        until = when(key.keep_until) if key.keep_until is not None else ""
        cells = (key.domain, key.selector, key.algorithm, _MARKS[key.state], when(key.state_at), until)
        shown.add_row(*map(plain, cells))
    out().print(shown)


@app.command()
def show(domain: Domain, as_json: Json = False) -> None:
    """Show the records of a domain's keys, and what DNS says of each now."""
    looked = run(lambda desk: dkim.look_at_keys(desk, domain))
    if as_json:
        say_json([_facts(one.key) | _answers(one) for one in looked])
        return
    for one in looked:
        say(f"{one.key.selector} ({one.key.algorithm}, {_MARKS[one.key.state]})")
        say(f"  {zone_line(one.key.name, one.key.record)}")
        _tell_looks(one)


@app.command()
def check(domain: Domain, as_json: Json = False) -> None:
    """Ask DNS whether the records of all keys of a domain are there; exit code 1 if one is not."""
    looked = run(lambda desk: dkim.look_at_keys(desk, domain))
    missing = [one for one in looked if not one.published]
    if as_json:
        say_json([_facts(one.key) | _answers(one) for one in looked])
    else:
        for one in looked:
            say(f"{one.key.name}: {'published' if one.published else 'NOT as it should be'}")
            _tell_looks(one)
    if missing:
        raise typer.Exit(1)


@app.command()
def switch(
    domain: Domain,
    grace: Grace = "7d",
    wait: Annotated[
        int, typer.Option(min=0, max=2880, metavar="MINUTES", help="Wait so long for the records to appear.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Let the waiting keys sign, if DNS has their records, and retire those that signed until now."""
    grace_s = _length(grace)
    done = run(lambda desk: dkim.switch_keys(desk, domain, grace_s=grace_s, wait_s=wait * 60.0))
    if as_json:
        say_json({"active": [_facts(key) for key in done.active], "retired": [_facts(key) for key in done.retired]})
        return
    say(f"{' and '.join(key.selector for key in done.active)} sign for {done.active[0].domain} from now on.")
    _tell_retired(done.retired, grace_s)


@app.command()
def retire(
    domain: Domain,
    grace: Grace = "7d",
    pending: Annotated[bool, typer.Option("--pending", help="Only forget the keys that do not sign yet.")] = False,
) -> None:
    """Let a domain sign no more, and forget keys that do not sign yet."""
    grace_s = _length(grace)
    retired = run(lambda desk: dkim.retire_keys(desk, domain, grace_s=grace_s, pending_only=pending))
    if pending:
        say("The keys that waited are forgotten; their records, where published, may be taken out of DNS.")
        return
    say(f"{domain} signs no more.")
    _tell_retired(retired, grace_s)


@app.command()
def prune(
    domain: Annotated[str, typer.Argument(metavar="[DOMAIN]", help="Without it, of all domains.")] = "",
    as_json: Json = False,
) -> None:
    """Forget retired keys whose grace is over, and say which records may go; exit code 1 if there is none yet."""
    over, kept = run(lambda desk: dkim.prune_keys(desk, domain))
    if as_json:
        say_json({"forgotten": [_facts(key) for key in over], "kept": [_facts(key) for key in kept]})
    else:
        for key in over:
            say(f"{key.name}: forgotten. Its TXT record may be taken out of DNS now.")
        for key in kept:
            say(f"{key.name}: kept, and its record must stay, until {when(key.keep_until or 0.0)} UTC.")
        if not over and not kept:
            say("There are no retired keys.")
    if kept and not over:
        raise typer.Exit(1)


def _length(text: str) -> float:
    try:
        return parse_length(text)
    except ActionError as error:
        raise typer.BadParameter(str(error), param_hint="--grace") from None


def _tell_made(made: Sequence[Listed], *, as_json: bool) -> None:
    if as_json:
        say_json([_facts(key) for key in made])
        return
    domain = made[0].domain
    say(f"Two keys for {domain} are made; they do not sign yet. Publish these records:\n")
    for key in made:
        say(zone_line(key.name, key.record))
    say(f"\nThen run: gatepost dkim switch {domain} --wait 60")


def _tell_retired(retired: Sequence[Listed], grace_s: float) -> None:
    for key in retired:
        say(f"{key.selector} is retired. Leave its record in DNS until {when(key.keep_until or 0.0)} UTC.")
    if retired and grace_s < SIGNATURE_LIFE_S:
        say("Warning: signatures of the last seven days may still have to be verified after that.", style="yellow")
    if retired:
        say(f"After that, `gatepost dkim prune {retired[0].domain}` forgets the keys and says which records may go.")


def _tell_looks(one: Looked) -> None:
    for look in one.looks:
        say(f"  {dkim.told_look(look)}")


def _answers(one: Looked) -> dict[str, object]:
    answers = [{"server": look.server, "state": look.state, "cause": look.cause} for look in one.looks]
    return {"published": one.published, "answers": answers}


def _facts(key: Listed) -> dict[str, object]:
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": key.state.value,
        "name": key.name,
        "record": key.record,
        "made_at": key.made_at,
        "state_at": key.state_at,
        "keep_until": key.keep_until,
    }
