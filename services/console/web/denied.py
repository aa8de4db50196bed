"""What somebody tried who may not (I/O: SQL): it stands in audit and log, with where it came from, a few a minute."""

import structlog
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from services.console.identity.refusals import note_refusal
from services.console.identity.rights import Caller
from services.console.web.who import backstage_of

_log = structlog.get_logger()
_API_ROOT = "/api/v1"


async def note_denied(request: Request, why: str) -> None:
    """Write what was refused to whoever is known by a session or a token; strangers are the log-in's matter."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        return
    backstage = backstage_of(request)
    what = f"{request.method} {route_of(request)}"
    try:
        if await note_refusal(backstage.desk(caller), "denied", what, backstage.clock(), why=why[:300]):
            _log.warning("denied", who=caller.name, address=caller.address, what=what)
    except SQLAlchemyError as error:
        _log.error("denied-not-written", cause=type(error).__name__)


def route_of(request: Request) -> str:
    """Return the path as the application declares it: a link's secret, which stands in some paths, is not in it."""
    path = str(getattr(request.scope.get("route"), "path", "") or "an unknown path")
    # FastAPI's routes do not know of the prefix that they were included with.
    of_api = request.url.path.startswith(f"{_API_ROOT}/") and not path.startswith(_API_ROOT)
    return _API_ROOT + path if of_api else path
