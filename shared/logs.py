"""Logs (I/O: writes to standard error): structlog as JSON, or as text for a person.

Each line is one record; control and bidirectional characters of outside text are escaped, so that no mail can forge a
line or turn a terminal around.
"""

import logging
import re
import sys

import structlog

from shared.settings import LogSettings

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Return the text with control and bidi characters escaped as four hexadecimal digits."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _escape_values(_logger: object, _name: str, record: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: _escaped_lines(value) if key == "exception" else _escaped(value) for key, value in record.items()}


def _escaped(value: object) -> object:
    match value:
        case str():
            return escape(value)
        case dict():
            return {key: _escaped(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_escaped(inner) for inner in value]
        case _:
            return value


def _escaped_lines(trace: str) -> str:
    """A traceback keeps its lines; what an error's text holds is as hostile as any."""
    return "\n".join([escape(line) for line in trace.split("\n")])


def configure_logs(service: str, settings: LogSettings) -> None:
    """Set up structlog and the standard library's loggers for this process."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    first: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, _escape_values, renderer]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # The libraries' own warnings take the same form, for they may quote what a client sent.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    # aiormq logs each broker outage at length; the link says it in one line.
    for noisy in ("aiormq", "aio_pika"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
