"""`gatepost queue list | show | hops | retry | cancel | bounce | reroute | suspend | resume`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from services.console.answers.queues import Destination, HopSeen, Ordered, OrderShown, Waiting, WaitingMail
from services.console.cli.api import Api
from services.console.cli.frame import ask, fail, out, plain, say, say_json, table, when
from services.console.story.told import show as shown
from services.console.web.cursor import Page
from shared.order import OrderKind

app = typer.Typer(
    no_args_is_help=True,
    help="Mail that waits in delivery, and the next hops that it waits for. The lists come from the trace, a few "
    "seconds behind; an order is followed when a message comes by next, within 15 minutes.",
)

Targets = Annotated[
    list[str],
    typer.Argument(metavar="TARGET...", help="An id, a recipient domain, a next hop as `list` shows it, or all."),
]
Reason = Annotated[str, typer.Option(help="Why, for the audit and the trace.")]
Needed = Annotated[str, typer.Option(help="Why, for the audit and the trace.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
_STATES = {
    "queued": "(not tried yet)",
    "released": "(released from quarantine, not tried yet)",
    "retrying": "(content examines it again)",
}


@app.command("list")
def list_waiting(
    domain: Annotated[str | None, typer.Option(help="Only mail to this domain.")] = None,
    hop: Annotated[str | None, typer.Option(help="Only mail for this next hop.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only mail that waits for a reason with this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many next hops.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what waits, by next hop, the most first, with the most frequent reasons."""
    wanted = {"domain": domain, "hop": hop, "reason": reason, "limit": limit}
    found = ask(lambda api: api.get("/queues", list[Destination], **wanted))
    if as_json:
        say_json([asdict(one) for one in found])
        return
    if not found:
        say("Nothing waits.")
        return
    made = table("next hop", "messages", "oldest (UTC)", "next try (UTC)", "because")
    for one in found:
        reasons = "\n".join(f"{shown(reason)} ({count})" for reason, count in one.reasons)
        next_try = when(one.next_try) if one.next_try is not None else ""
        hop = one.hop or _STATES.get(one.state, one.state)
        made.add_row(*map(plain, (hop, one.messages, when(one.oldest), next_try)), Text(reasons))
    out().print(made)


@app.command()
def show(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="An id, a domain, a next hop, or all.")],
    reason: Annotated[str | None, typer.Option(help="Only mail that waits for a reason with this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the oldest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the messages that wait for a next hop, or go to a domain."""
    found = ask(lambda api: api.pages("/queues/mail", Page[WaitingMail], limit, target=target, reason=reason))
    if as_json:
        say_json([asdict(one) for one in found])
        return
    if not found:
        say(f"Nothing waits for {target}.")
        return
    made = table("id", "since (UTC)", "sender", "recipients", "next hop", "next try (UTC)", "because")
    for one in found:
        made.add_row(*map(plain, _cells(one)))
    out().print(made)


@app.command()
def hops(as_json: AsJson = False) -> None:
    """Show how each process of delivery last saw the next hops, those in trouble first, and what is suspended."""

    async def look(api: Api) -> tuple[list[HopSeen], list[OrderShown]]:
        return await api.get("/hops", list[HopSeen]), await api.get("/suspensions", list[OrderShown])

    found, held = ask(look)
    if as_json:
        say_json({"hops": [asdict(one) for one in found], "suspended": [_facts(one) for one in held]})
        return
    if not found:
        say("No next hop has changed its state yet.")
    else:
        made = table("next hop", "host", "state", "until (UTC)", "told (UTC)", "because")
        for one in found:
            made.add_row(*map(plain, _hop_cells(one)))
        out().print(made)
    for order in held:
        say(f"Suspended since {when(order.at)} UTC by {order.who}: {order.target}{_because(order)}", "yellow")


@app.command()
def retry(targets: Targets, reason: Reason = "", as_json: AsJson = False) -> None:
    """Have mail tried at once when it comes by next, whatever it waits for."""
    _report(_give(OrderKind.RETRY, targets, reason), as_json)


@app.command()
def cancel(targets: Targets, reason: Needed, yes: Yes = False, as_json: AsJson = False) -> None:
    """Throw waiting mail away for good; neither its sender nor its recipients are told."""
    _confirm("Throw away", targets, yes)
    _report(_give(OrderKind.CANCEL, targets, reason), as_json)


@app.command()
def bounce(
    targets: Targets,
    reason: Annotated[str, typer.Option(help="Why; the sender reads it, too.", show_default=False)],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give waiting mail up: its sender gets a report; where none may be sent, it goes to quarantine."""
    _confirm("Give up", targets, yes)
    _report(_give(OrderKind.BOUNCE, targets, reason), as_json)


@app.command()
def reroute(
    targets: Targets,
    to: Annotated[
        str,
        typer.Option(metavar="ROUTE", help="As in the policy: smtp://host:25, mx, …; `policy`: where the policy says."),
    ],
    reason: Needed,
    as_json: AsJson = False,
) -> None:
    """Send mail that waits now to another next hop; mail that comes later goes where the policy says."""
    _report(_give(OrderKind.REROUTE, targets, reason, to), as_json)


@app.command()
def suspend(targets: Targets, reason: Needed, as_json: AsJson = False) -> None:
    """Hold mail back, also what is still to come, until `resume`; its lifetime runs on meanwhile."""
    _report(_give(OrderKind.SUSPEND, targets, reason), as_json)


@app.command()
def resume(targets: Targets, reason: Reason = "", as_json: AsJson = False) -> None:
    """End a suspension; `all` ends every one."""
    _report(_give(OrderKind.RESUME, targets, reason), as_json)


def _give(kind: OrderKind, targets: Sequence[str], reason: str, to: str = "") -> list[Ordered]:
    if kind not in (OrderKind.RETRY, OrderKind.RESUME) and not reason.strip():
        fail("--reason is empty: whoever looks into it later needs to know why", code=2)
    new = {"kind": kind, "targets": list(targets), "why": reason.strip(), "to": to}
    return ask(lambda api: api.post("/queues/orders", list[Ordered], new))


def _confirm(what: str, targets: Sequence[str], yes: bool) -> None:
    if not yes:
        known = ask(lambda api: api.get("/queues/orders/count", Waiting, target=list(targets)))
        typer.confirm(
            f"{what} mail of {', '.join(map(shown, targets))} ({known.waiting} known to wait) for good?", abort=True
        )


_DONE = {
    OrderKind.RETRY: "is tried at once when it comes by next",
    OrderKind.CANCEL: "is thrown away when it comes by next",
    OrderKind.BOUNCE: "is given up when it comes by next",
    OrderKind.REROUTE: "goes to {to} when it comes by next",
    OrderKind.SUSPEND: "is held back from now on",
    OrderKind.RESUME: "is not held back any more",
}


def _report(given: Sequence[Ordered], as_json: bool) -> None:
    if as_json:
        say_json([_facts(one.order) | {"waiting": one.waiting, "state": one.state} for one in given])
        return
    for one in given:
        done = _DONE[one.order.kind].format(to="where the policy says" if one.order.to == "policy" else one.order.to)
        known = f"{one.waiting} message{'' if one.waiting == 1 else 's'} known to wait"
        state = f"; the trace has it as {one.state}" if one.state and not one.waiting else ""
        say(f"Mail of {one.order.target} {done} ({known}{state}).")
        if one.held_by is not None:
            held = one.held_by
            say(
                f"It is held back all the same: {held.target} is suspended since {when(held.at)} UTC by {held.who}.",
                "yellow",
            )


def _cells(one: WaitingMail) -> tuple[object, ...]:
    hop = one.hop or _STATES.get(one.state, one.state)
    next_try = when(one.next_try) if one.next_try is not None else ""
    return one.id, when(one.since), one.sender or "<>", one.recipients, hop, next_try, one.reason


def _hop_cells(one: HopSeen) -> tuple[object, ...]:
    return one.hop, one.host, one.state, when(one.until) if one.until is not None else "", when(one.at), one.cause


def _facts(order: OrderShown) -> dict[str, object]:
    facts: dict[str, object] = {
        "id": order.id,
        "at": order.at,
        "kind": order.kind.value,
        "target": order.target,
        "who": order.who,
        "why": order.why,
    }
    return facts | ({"to": order.to} if order.to else {})


def _because(order: OrderShown) -> str:
    return f" ({order.why})" if order.why else ""
