"""`gatepost doctor`: what is wrong, and how to mend it."""

import asyncio

import typer
from rich.text import Text

from services.console.cli.frame import out, plain, say, settings_here
from services.console.doctor.examine import examine
from services.console.doctor.finding import Level

_MARKS = {Level.GOOD: ("ok", "green"), Level.WARNING: ("!!", "yellow"), Level.WRONG: ("XX", "red")}


def show() -> None:
    """Look at settings, broker, services, engines, disk, certificates, database, policy. Ends with 1 if one is bad."""
    settings, path = settings_here()
    findings = asyncio.run(examine(settings, path))
    for finding in findings:
        mark, colour = _MARKS[finding.level]
        line = Text(f"{mark} ", style=colour) + plain(f"{finding.topic}: {finding.text}")
        out().print(line, soft_wrap=True)
        if finding.mend:
            say(f"   → {finding.mend}")
    wrong = sum(finding.level is Level.WRONG for finding in findings)
    say("All is well." if not wrong else f"{wrong} of {len(findings)} looked at are wrong.")
    raise typer.Exit(1 if wrong else 0)
