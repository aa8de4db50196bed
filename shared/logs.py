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
    return {
        key: escape(value) if isinstance(value, str) and key != "exception" else value for key, value in record.items()
    }


def configure_logs(service: str, settings: LogSettings) -> None:
    """Set up structlog and the standard library's loggers for this process."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escape_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(
        stream=sys.stderr, level=max(level, logging.WARNING), format="%(name)s: %(message)s", force=True
    )
    # aiormq logs each broker outage at length; the link says it in one line.
    for noisy in ("aiormq", "aio_pika"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
