"""The check `antispam`: what Rspamd or SpamAssassin says of the message (I/O through the engine).

Output: a finding whose detail is the report, for each domain weighs the score by its own thresholds.
On failure: unsure, so the message is deferred; it never counts as no spam.
"""

from services.content.finding import Finding, unsure
from services.content.spam import Forced, SpamEngine, SpamError, SpamReport, SpamRequest, Symbol
from shared.verdict import CheckName, points

_SHOWN = 8
_FORCED = {
    Forced.REJECT: ("rejected", "insists that it be rejected"),
    Forced.SOFT_REJECT: ("soft_rejected", "insists that it be refused for now"),
}


async def check_antispam(engine: SpamEngine | None, request: SpamRequest) -> Finding:
    """Return the engine's word as a finding. engine: None where this host has none, which is its settings' choice."""
    if engine is None:
        return Finding(CheckName.ANTISPAM, "none", "No antispam engine is configured on this host.")
    try:
        report = await engine.judge(request)
    except SpamError as error:
        return unsure(CheckName.ANTISPAM, "error", f"The antispam engine gave no answer: {error}.")
    return antispam_finding(report, len(request.message))


def antispam_finding(report: SpamReport, size_bytes: int) -> Finding:
    """Return a report as a finding (PURE). size_bytes: the whole message's."""
    result, rule = "scored", ""
    gave = f"{report.engine} gave it {points(report.score)}"
    if report.forced is not None:
        result, insists = _FORCED[report.forced]
        rule, gave = result, f"{report.engine} {insists}, whatever the score; it gave it {points(report.score)}"
    parts = _parts(report)
    return Finding(
        CheckName.ANTISPAM,
        result,
        f"{gave}: {parts}." if parts else f"{gave}, naming no rule.",
        rule,
        input=_input(report.examined_bytes, size_bytes),
        detail=report,
    )


def _input(examined_bytes: int | None, size_bytes: int) -> str:
    if examined_bytes is None:
        return f"the whole message, {size_bytes:,} octets"
    return f"only the first {examined_bytes:,} of {size_bytes:,} octets"


def _parts(report: SpamReport) -> str:
    """Name the rules that gave points; of a forced action also those that gave none, for one of them forced it."""
    named = [symbol for symbol in report.symbols if symbol.score or report.forced is not None]
    more = len(named) - _SHOWN
    return ", ".join(map(_part, named[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _part(symbol: Symbol) -> str:
    text = f" ({symbol.text})" if symbol.text else ""
    return f"{symbol.name} {points(symbol.score)}{text}"
