"""`gatepost dkim add | list | show | check | switch | rotate | retire | prune`."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from services.console.actions.errors import ActionError
from services.console.answers.bans import parse_length
from services.console.answers.dkim import Listed, Looked, Pruned, Switched, told_look
from services.console.cli.api import Api, part
from services.console.cli.frame import ask, out, plain, say, say_json, table, when
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
_ASK_EVERY_S = 15.0
_MARKS = {KeyState.PENDING: "waits", KeyState.ACTIVE: "signs", KeyState.RETIRED: "retired"}


@app.command()
def add(domain: Domain, selector: Selector = "", as_json: Json = False) -> None:
    """Make the first keys of a domain; they sign once their records are published and `switch` was run."""
    new = {"selector": selector}
    _tell_made(ask(lambda api: api.post(_path(domain), list[Listed], new)), as_json=as_json)


@app.command()
def rotate(domain: Domain, selector: Selector = "", as_json: Json = False) -> None:
    """Make the next keys of a domain that signs; the present ones sign on until `switch`."""
    new = {"selector": selector, "rotate": True}
    _tell_made(ask(lambda api: api.post(_path(domain), list[Listed], new)), as_json=as_json)


@app.command("list")
def list_keys(as_json: Json = False) -> None:
    """List all keys."""
    found = ask(lambda api: api.get("/dkim", list[Listed]))
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
    looked = ask(lambda api: api.get(f"{_path(domain)}/records", list[Looked]))
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
    looked = ask(lambda api: api.get(f"{_path(domain)}/records", list[Looked]))
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
    done = ask(lambda api: _switch(api, domain, grace_s, wait * 60.0))
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
    asked = {"grace_s": grace_s, "pending_only": pending}
    retired = ask(lambda api: api.post(f"{_path(domain)}/retire", list[Listed], asked))
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
    path = f"{_path(domain)}/prune" if domain else "/dkim/prune"
    pruned = ask(lambda api: api.post(path, Pruned))
    over, kept = pruned.forgotten, pruned.kept
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


def _path(domain: str) -> str:
    return f"/domains/{part(domain)}/dkim"


async def _switch(api: Api, domain: str, grace_s: float, wait_s: float) -> Switched:
    """Switch; where DNS does not have all records, ask again until the time is over."""
    give_up_at = time.monotonic() + wait_s
    while (left_s := give_up_at - time.monotonic()) > 0:
        waiting = [
            one
            for one in await api.get(f"{_path(domain)}/records", list[Looked])
            if one.key.state is KeyState.PENDING and not one.published
        ]
        if not waiting:
            break
        await asyncio.sleep(min(_ASK_EVERY_S, left_s))
    return await api.post(f"{_path(domain)}/switch", Switched, {"grace_s": grace_s})


def _tell_looks(one: Looked) -> None:
    for look in one.looks:
        say(f"  {told_look(look)}")


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
