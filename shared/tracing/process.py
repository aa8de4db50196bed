"""Traces switched on and off in this process.

Owns: the one exporter, made where the settings name a collector. Nothing of OpenTelemetry is imported otherwise.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.settings import TracingSettings
from shared.tracing.spans import collect

if TYPE_CHECKING:
    from shared.tracing.export import Exporter

# What traces may take of a service's drain: what is not told by then is lost.
STOP_S = 2.0


@dataclass(slots=True)
class _Now:
    """What holds in this process."""

    exporter: "Exporter | None" = None


_now = _Now()


def start(stage: str, settings: TracingSettings) -> None:
    """Trace from here on, if the settings say so."""
    if not settings.endpoint:
        return
    # Here, not at the top: whoever does without traces does without all that they need.
    from shared.tracing.export import Exporter  # noqa: PLC0415

    _now.exporter = Exporter(stage, settings)
    collect(_now.exporter, settings.ratio)


async def stop() -> None:
    """Trace no more; what was traced is told the collector, within `STOP_S`."""
    collect(None)
    exporter, _now.exporter = _now.exporter, None
    if exporter is not None:
        await asyncio.to_thread(exporter.close, STOP_S)
