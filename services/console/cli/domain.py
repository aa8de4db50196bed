"""`gatepost domain add | list | show | check | set | remove`."""

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import tomlkit
import typer
from pydantic import JsonValue
from rich.text import Text

from services.console.answers.domains import Change, DomainListed, DomainTold, RouteTold
from services.console.cli.api import Api, part
from services.console.cli.frame import ask, fail, out, plain, say, say_document, say_json, steps, table, when
from services.console.domain_check.check import Check, Level
from services.console.domain_edit import Value, read_value, steps_of
from shared.address import AddressError, parse_domain

app = typer.Typer(
    no_args_is_help=True, help="Our domains: their rules, their routes, and whether all is well with them."
)
Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain of ours.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the history of the policy.")]
_MARKS = {
    Level.OK: ("ok", "green"),
    Level.WARN: ("!!", "yellow"),
    Level.WRONG: ("XX", "red"),
    Level.UNKNOWN: ("??", "cyan"),
}
_OF_DNS = ("any", "verified", "ldap")


@app.command()
def add(
    domain: Domain,
    route: Annotated[
        list[str],
        typer.Option(
            help="Where its mail goes: smtp://host:25, lmtp:/socket, mx …; more of them in order of preference."
        ),
    ],
    recipients: Annotated[
        str, typer.Option(help="any, verified, ldap, or local parts with commas between them: anna,ben,info*")
    ],
    reason: Reason,
    key: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another key of its table. May be repeated.")
    ] = None,
) -> None:
    """Make a domain one of ours; the stages follow within a second."""
    name = _domain(domain)
    whole: dict[str, Value] = {
        "route": route[0] if len(route) == 1 else list[Value](route),
        "recipients": _recipients(recipients),
    }
    whole |= dict(map(_assignment, key or ()))
    new = {"domain": name, "keys": whole, "reason": _why(reason)}
    _done(ask(lambda api: api.post("/domains", Change, new)))
    say(f"See whether all is well with it: gatepost domain check {name}")


@app.command("list")
def list_domains(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List our domains."""
    found = ask(lambda api: api.get("/domains", list[DomainListed], people=True))
    if as_json:
        say_json([{"domain": one.domain, **_facts(one)} for one in found])
        return
    if not found:
        say("No domain is ours yet: gatepost domain add")
        return
    shown = table("domain", "route", "recipients", "aliases")
    for one in found:
        shown.add_row(*map(plain, (one.domain, ", ".join(one.routes), _who(one), one.aliases or "")))
    out().print(shown)


@app.command()
def show(domain: Domain, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show a domain: its routes and how they are, who lives there, its keys, and what its table says."""
    name = _domain(domain)
    found = ask(lambda api: api.get(f"/domains/{part(name)}", DomainTold))
    if as_json:
        say_json(_shown_facts(found))
        return
    say(f"{found.domain}, by version {found.version} of the policy", style="bold")
    shown = table("route", "priority", "weight", "how it is")
    for route in found.routes:
        shown.add_row(*map(plain, (route.to, route.priority, route.weight, _health(route))))
    out().print(shown)
    say(f"recipients: {_who(found)}; aliases: {found.aliases}")
    if found.catch_all:
        say(f"all others: {found.catch_all}")
    if found.keys:
        keys = table("DKIM selector", "algorithm", "state")
        for key in found.keys:
            keys.add_row(*map(plain, (key.selector, key.algorithm, key.state.value)))
        out().print(keys)
    else:
        say(f"DKIM: no keys, so its mail is not signed: gatepost dkim add {name}")
    if found.table is None:
        say("what its table has in the document is not for your role.")
        return
    say("what its table has in the document; all else is as in `gatepost policy show`, or the default:")
    say(tomlkit.dumps({key: _shortened(value) for key, value in found.table.items()}).rstrip("\n"))


@app.command()
def check(
    domain: Annotated[list[str] | None, typer.Argument(metavar="[DOMAIN]…", help="Of ours; else all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Ask DNS, and the routes themselves, whether mail to and from a domain passes, and say what to mend.

    Ends with 1 if something is wrong.
    """
    names = [_domain(one) for one in domain or ()]
    found = ask(lambda api: _checks(api, names))
    worst = any(one.level is Level.WRONG for checks in found.values() for one in checks)
    if as_json:
        say_json({name: [asdict(one) for one in checks] for name, checks in found.items()})
        raise typer.Exit(1 if worst else 0)
    for name, checks in found.items():
        _print_checks(name, checks)
    raise typer.Exit(1 if worst else 0)


@app.command("set")
def set_keys(
    domain: Domain,
    reason: Reason,
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]…", help="As in the document: subaddress=+ size_bytes=30000000 batv=sign"),
    ] = None,
    unset: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Take a key out. May be repeated.")] = None,
) -> None:
    """Change keys of a domain's table in the policy; comments stay."""
    name = _domain(domain)
    changes: dict[str, Value | None] = dict(map(_assignment, keys or ()))
    changes |= dict.fromkeys(unset or ())
    if not changes:
        raise typer.BadParameter("say what is to change: KEY=VALUE, or --unset KEY")
    if isinstance(changes.get("recipients"), str):
        changes["recipients"] = _recipients(str(changes["recipients"]))
    asked = {
        "changes": [{"path": steps_of(key), "value": value} for key, value in changes.items()],
        "reason": _why(reason),
    }
    _done(ask(lambda api: api.patch(f"/domains/{part(name)}", Change, asked)))


@app.command()
def remove(domain: Domain, reason: Reason) -> None:
    """Let a domain be none of ours any more: mail to it is refused from then on; what waits is still delivered."""
    name = _domain(domain)
    why = _why(reason)
    _done(ask(lambda api: api.delete(f"/domains/{part(name)}", Change, reason=why)))


def _domain(text: str) -> str:
    try:
        return parse_domain(text)
    except AddressError as error:
        fail(str(error), code=2)


async def _checks(api: Api, names: list[str]) -> dict[str, list[Check]]:
    """Return the checks of domains, of all if none is named."""
    chosen = names or [one.domain for one in await api.get("/domains", list[DomainListed])]
    found: dict[str, list[Check]] = {}
    # One after the other: a check is many questions already.
    for name in steps(chosen, "checking"):
        found[name] = await api.post(f"/domains/{part(name)}/check", list[Check])
    return found


def _why(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("say in a few words why", param_hint="--reason")
    return reason.strip()


def _assignment(text: str) -> tuple[str, Value]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE")
    return key.strip(), read_value(value.strip())


def _recipients(text: str) -> Value:
    if text in _OF_DNS:
        return text
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def _done(done: Change) -> None:
    if not done.is_new:
        say(f"Nothing to change: version {done.version} says so already.")
        return
    say_document(done.diff)
    say(f"Version {done.version} is in force.")


def _print_checks(name: str, checks: list[Check]) -> None:
    say(name, style="bold")
    for one in checks:
        mark, colour = _MARKS[one.level]
        out().print(Text(f"{mark} ", style=colour) + plain(f"{one.topic}: {one.text}"), soft_wrap=True)
        if one.mend:
            say(f"   → {one.mend}")
    counts = Counter(one.level for one in checks)
    said = ", ".join(f"{counts[level]} {level}" for level in Level if counts[level])
    say(f"   {len(checks)} looked at: {said}")


def _who(told: DomainListed | DomainTold) -> str:
    if told.people is None:
        return str(told.recipients)
    shown = ", ".join(told.people[:5])
    return f"{shown}, … ({len(told.people)})" if len(told.people) > 5 else shown or "none"


def _health(route: RouteTold) -> str:
    if not route.said:
        return "nothing said of it yet"
    return "; ".join(
        f"{one.host}: {one.state}{f' ({one.cause})' if one.cause else ''} since {when(one.since)}" for one in route.said
    )


def _shortened(value: JsonValue) -> JsonValue:
    """Return a value with long lists cut, for a screen."""
    if isinstance(value, list) and len(value) > 20:
        return [*value[:20], f"… and {len(value) - 20} more"]
    if isinstance(value, dict):
        kept = {key: _shortened(inner) for key, inner in list(value.items())[:20]}
        return kept if len(value) <= 20 else kept | {"…": f"and {len(value) - 20} more"}
    return value


def _facts(told: DomainListed | DomainTold) -> dict[str, object]:
    choices = told.choices if isinstance(told, DomainListed) else told.routes
    return {
        "routes": [{"to": one.to, "priority": one.priority, "weight": one.weight} for one in choices],
        "recipients": told.recipients if told.people is None else told.people,
        "aliases": told.aliases,
    }


def _shown_facts(found: DomainTold) -> dict[str, object]:
    return {
        "domain": found.domain,
        **_facts(found),
        "version": found.version,
        "health": [
            {"hop": route.hop, "host": one.host, "state": one.state, "cause": one.cause, "at": one.since}
            for route in found.routes
            for one in route.said
        ],
        "keys": [{"selector": key.selector, "algorithm": key.algorithm, "state": key.state} for key in found.keys],
        "table": found.table,
    }
