"""Whether the clocks of broker, database and services agree with ours (I/O: HTTP, SQL, each with a deadline).

For mail it matters where one says how old something is: deadlines, signatures, retries, an entry to be confirmed.
Standards: RFC 9110 §6.6.1 (Date).
"""

import asyncio
import http.client
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from services.console.database import Database
from services.console.doctor.finding import Finding, good, warning, wrong
from services.console.settings import ConsoleSettings

_TIMEOUT_S = 4.0
_DIFFER_S = 3.0
_WRONG_S = 30.0
_MEND = "have both hosts' clocks set by NTP: timedatectl set-ntp true"


async def clocks(settings: ConsoleSettings) -> list[Finding]:
    """Ask each for its time; who does not answer has findings of its own elsewhere."""
    urls = settings.services.model_dump()
    if settings.management is not None:
        urls["the broker"] = settings.management.url
    asked: dict[str, Callable[[], float]] = {name: partial(_date, url) for name, url in urls.items()}
    answers = await asyncio.gather(
        *(asyncio.to_thread(_ahead, read) for read in asked.values()), _database(settings), return_exceptions=True
    )
    found = [
        judge(name, ahead)
        for name, ahead in zip([*asked, "the database"], answers, strict=True)
        if isinstance(ahead, float)
    ]
    return found or [good("clock", "nobody tells the time to compare with")]


def judge(name: str, ahead_s: float) -> Finding:
    """Return what is to be said of a clock (PURE). ahead_s: how far it is ahead of ours."""
    distance = abs(ahead_s)
    if distance <= _DIFFER_S:
        return good("clock", f"that of {name} agrees with ours")
    said = f"that of {name} is {distance:.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
    return (wrong if distance > _WRONG_S else warning)("clock", said, _MEND)


def _ahead(read: Callable[[], float]) -> float:
    before = time.time()
    there = read()
    # A Date has whole seconds: half of one is the best guess.
    return there + 0.5 - (before + time.time()) / 2


def _date(url: str) -> float:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("HEAD" if parts.path else "GET", parts.path.rstrip("/") + "/healthz")
        date = connection.getresponse().getheader("Date")
        if date is None:
            raise ValueError("no Date")
        return parsedate_to_datetime(date).astimezone(UTC).timestamp()
    finally:
        connection.close()


async def _database(settings: ConsoleSettings) -> float:
    opened = Database(settings.database.url.get_secret_value())
    try:
        if opened.is_sqlite:
            raise ValueError("a file has no clock")
        async with asyncio.timeout(_TIMEOUT_S), opened.reading() as connection:
            before = time.time()
            there = await connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
            return float(there or 0.0) - (before + time.time()) / 2
    except SQLAlchemyError as error:
        raise OSError(str(error)) from None
    finally:
        await opened.close()
