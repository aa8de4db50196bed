"""Sending what is due, again and again (I/O: clock).

On failure: logged, and tried again at the next round.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.console.reports.days import ROUND_S

_log = structlog.get_logger()


async def run_rounds(name: str, one_round: Callable[[], Awaitable[None]]) -> None:
    """Do a round every quarter of an hour, until cancelled. name: of the reports, for the log."""
    while True:
        try:
            await one_round()
        except SQLAlchemyError as error:
            _log.warning("reports-wait", of=name, cause=type(error).__name__)
        except Exception:  # a defect here must not end the recorder
            _log.exception("reports-failed", of=name)
        await asyncio.sleep(ROUND_S)
