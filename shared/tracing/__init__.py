"""Traces of mails by OpenTelemetry, where the settings ask for them: `tracing.mail(…)`, `tracing.span(…)`."""

from shared.tracing.process import start, stop
from shared.tracing.spans import Kind, Work, at_hand, mail, span

__all__ = ["Kind", "Work", "at_hand", "mail", "span", "start", "stop"]
