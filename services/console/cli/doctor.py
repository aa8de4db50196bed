"""`gatepost doctor`: what is wrong, and how to mend it."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from services.console.answers.doctor import Examined
from services.console.cli.frame import ask, fail, out, plain, say, say_json, settings_here
from services.console.cli.target import read_target
from services.console.doctor.finding import Finding, Level, is_well
from shared.errors import SettingsError

_MARKS = {
    Level.GOOD: ("ok", "green"),
    Level.ASIDE: ("--", ""),
    Level.WARNING: ("!!", "yellow"),
    Level.WRONG: ("XX", "red"),
}


def show(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Look at settings, certificates, ports, broker, engines, DNS, clocks, disk, database, policy; say how to mend.

    Ends with 0 if nothing is wrong (warnings are no errors), with 1 if something is, with 2 if the settings cannot be
    used at all. `--` marks what was not looked at here, and why. After `gatepost login` the console there looks, at its
    own host and at what it can reach from there; files, ports and clocks of another host are looked at on that host.
    """
    findings = _findings()
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        _tell(findings)
    raise typer.Exit(0 if is_well(findings) else 1)


def _findings() -> list[Finding]:
    try:
        target = read_target()
    except SettingsError as error:
        fail(str(error), code=2)
    if target is not None:
        return ask(lambda api: api.get("/doctor", Examined)).findings
    from services.console.doctor.examine import examine  # noqa: PLC0415

    settings, path = settings_here()
    return asyncio.run(examine(settings, path))


def _tell(findings: list[Finding]) -> None:
    for finding in findings:
        mark, colour = _MARKS[finding.level]
        line = Text(f"{mark} ", style=colour) + plain(f"{finding.topic}: {finding.text}")
        out().print(line, soft_wrap=True)
        if finding.mend:
            say(f"   → {finding.mend}")
    wrong = sum(finding.level is Level.WRONG for finding in findings)
    say("All is well." if not wrong else f"{wrong} of {len(findings)} looked at are wrong.")
