"""Asking the services how they are (I/O: HTTP, each request with a deadline and a bound).

Output: `Readiness`, and the figures of `/metrics`. On failure: a service that does not answer is not ready, and has no
figures.
"""

import asyncio
import http.client
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from services.console.pulse.facts import Live, Readiness
from services.console.pulse.measures import Measures, read_measures
from services.console.settings import ConsoleSettings

_TIMEOUT_S = 3.0
_SMALL = 10_000
_LARGE = 2_000_000
_POLICY = re.compile(r"policy(?: version)?[ :=]+(\d{1,9})")
_POLICY_MEASURE = "gatepost_policy_version"
_REFUSED_MEASURE = "gatepost_policy_refused_version"


async def ask_services(settings: ConsoleSettings) -> tuple[tuple[Readiness, ...], dict[str, Measures]]:
    """Ask each service whether it is ready, and for its figures."""
    urls = settings.services.model_dump()
    answers = await asyncio.gather(*(asyncio.to_thread(_ask, name, url) for name, url in urls.items()))
    return tuple(ready for ready, _ in answers), {ready.service: measures for ready, measures in answers}


async def readiness(settings: ConsoleSettings) -> tuple[Readiness, ...]:
    """Ask each service whether it is ready."""
    urls = settings.services.model_dump().items()
    return tuple(await asyncio.gather(*(asyncio.to_thread(_ready, name, url) for name, url in urls)))


def live(measures: dict[str, Measures]) -> Live:
    """Return what the services count now (PURE)."""
    edge, content, delivery = (measures.get(name, Measures()) for name in ("edge", "content", "delivery"))
    return Live(
        sessions=edge.total("gatepost_edge_open_sessions"),
        waiting_for_verdict=edge.total("gatepost_edge_waiting"),
        content_processes=edge.total("gatepost_edge_content_processes"),
        under_way=delivery.total("gatepost_delivery_under_way"),
        clamds_well=content.total("gatepost_content_clamd_daemons_well"),
        tarpitted=edge.total("gatepost_edge_tarpitted_sessions"),
    )


def get(url: str, path: str, ca_file: Path | None = None, limit: int = _SMALL) -> tuple[int, str]:
    """Return the status and the text of a small HTTP answer. Raises OSError, http.client.HTTPException. Blocking."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port or 443, timeout=_TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port or 80, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        answer = connection.getresponse()
        return answer.status, answer.read(limit).decode("utf-8", "replace").strip()
    finally:
        connection.close()


def _ask(service: str, url: str) -> tuple[Readiness, Measures]:
    ready = _ready(service, url)
    if ready.said.startswith("not reachable"):
        return ready, Measures()
    try:
        code, text = get(url, "/metrics", limit=_LARGE)
    except (OSError, http.client.HTTPException):
        return ready, Measures()
    measures = read_measures(text) if code == 200 else Measures()
    version = ready.policy_version if ready.policy_version is not None else _lowest(measures)
    return Readiness(service, url, ready.ready, ready.said, version, refused(measures, version)), measures


def refused(measures: Measures, version: int | None) -> int:
    """Return the policy's version that a service could not use, or 0 where none is newer than what it runs (PURE)."""
    highest = max((int(one.value) for one in measures.named(_REFUSED_MEASURE)), default=0)
    return highest if highest > (version or 0) else 0


def _lowest(measures: Measures) -> int | None:
    # Several processes of one service may take a new version one after the other: the last of them counts.
    return min((int(one.value) for one in measures.named(_POLICY_MEASURE)), default=None)


def _ready(service: str, url: str) -> Readiness:
    try:
        code, said = get(url, "/readyz")
    except (OSError, http.client.HTTPException) as error:
        return Readiness(service, url, ready=False, said=f"not reachable: {error}")
    told = _POLICY.search(said)
    first = said.splitlines()[0] if said else str(code)
    return Readiness(service, url, code == 200, first, int(told[1]) if told else None)
