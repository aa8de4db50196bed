"""`gatepost status`: how the pipeline is, and what needs somebody's hand."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from services.console.actions.alerts import Alert, Severity, judge
from services.console.cli.frame import ask, out, plain, say, say_json, table
from services.console.pulse.facts import Depth, Status
from services.console.story.told import span

_EMPTY_RUNGS = ".retry."


def show(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show what needs somebody's hand, whether the services are ready, what waits, what became of the last day's mail.

    Ends with 1 if a service is not ready or something could not be asked.
    """
    found = ask(lambda api: api.get("/status", Status))
    alerts = judge(found)
    if as_json:
        say_json(asdict(found) | {"is_well": found.is_well, "alerts": [asdict(alert) for alert in alerts]})
    else:
        _print_alerts(alerts)
        _print(found)
    raise typer.Exit(0 if found.is_well else 1)


_COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.NOTICE: ""}


def _print_alerts(alerts: tuple[Alert, ...]) -> None:
    for alert in alerts:
        say(f"{alert.severity.value}: {alert.text}", _COLOURS[alert.severity])
        say(f"  {alert.mend}")
    if alerts:
        say("")


def _print(found: Status) -> None:
    services = table("service", "", "policy", "says")
    for one in found.services:
        mark = "[green]ready[/]" if one.ready else "[red]NOT READY[/]"
        said = one.said if one.ready else f"{one.said} ({one.url})"
        services.add_row(one.service, mark, plain(one.policy_version), plain(said))
    out().print(services)
    say("")
    if found.queues_problem:
        say(f"Queues: not known: {found.queues_problem}", "red")
    else:
        _print_queues(found.queues)
    say("")
    _print_mail(found)


def _print_queues(queues: tuple[Depth, ...]) -> None:
    shown = table("queue", "waiting", "in work", "consumers")
    for queue in queues:
        # Rungs of the retry ladder are many and mostly empty.
        if _EMPTY_RUNGS not in queue.queue or queue.ready + queue.unacked:
            shown.add_row(queue.queue, str(queue.ready), str(queue.unacked), str(queue.consumers))
    out().print(shown)


def _print_mail(found: Status) -> None:
    if found.database_problem:
        say(f"Mail: not known: {found.database_problem}", "red")
        return
    outcomes = ", ".join(f"{count} {state}" for state, count in found.outcomes.items()) or "no mail"
    say(f"Last 24 h: {outcomes}")
    came, judged, left, refused = found.rates.received, found.rates.judged, found.rates.delivered, found.rates.refused
    say(f"Last minute: {came} came, {judged} judged, {left} delivered, {refused} refused")
    if found.oldest:
        message_id, state, first_seen = found.oldest
        say(f"Oldest on its way: {message_id}, {state}, for {span(time.time() - first_seen)}")
    say(f"Held in quarantine: {found.held}")
