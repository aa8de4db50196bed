"""Logs (I/O: writes to standard error): structlog as JSON, or as text for a person.

Owns: the level from which on lines are written: that of the settings, until a policy that is in force says another.
Each line is one record; control and bidirectional characters of outside text are escaped, so that no mail can forge a
line or turn a terminal around.
"""

import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from shared.settings import LogSettings

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(slots=True)
class _Now:
    """What holds in this process. settled: the level of its settings."""

    service: str = ""
    settled: int = logging.INFO
    level: int = logging.INFO


_now = _Now()
_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "exception": 40, "critical": 50}


def take_levels(level_of: Callable[[str], str | None]) -> None:
    """Have this process write from that level on which the policy in force has for its service, if it has one."""
    wanted = level_of(_now.service)
    level = _now.settled if wanted is None else _NUMBERS[wanted]
    if level != _now.level:
        _now.level = level
        logging.getLogger().setLevel(max(level, logging.WARNING))
        # At whatever level: who reads the log must know that there is less of it now, or more.
        structlog.get_logger().critical("log-level-changed", to=logging.getLevelName(level).lower())


def in_detail() -> bool:
    """Tell whether lines of level debug are written now: to be asked before one is made for each message."""
    return _now.level <= logging.DEBUG


def _enough(_logger: object, method: str, record: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Let go what is below the level; the first of all processors."""
    if _NUMBERS.get(method, logging.CRITICAL) < _now.level:
        raise structlog.DropEvent
    return record


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
    _now.service, _now.settled, _now.level = service, level, level
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
        processors=[_enough, *first, *last],
        # The level may change while loggers are kept, so it is no part of their class.
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
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
