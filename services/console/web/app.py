"""The application: pages and API, wired (ASGI).

Owns: which modules serve which paths. `create_app` is for browsers and programs over TLS; `create_api` is for the
command on the console's own host, where whoever may read the settings may do everything.
"""

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from services.console.identity.rights import Caller
from services.console.web import api, pages
from services.console.web.backstage import Backstage
from services.console.web.described import BY_TOKEN, PROBLEMS
from services.console.web.headers import Guarded
from services.console.web.problem import answer_problems
from services.console.web.render import STATIC
from shared.wire_trial import TRIAL_LIMIT_BYTES

API_ROOT = "/api/v1"
# A policy document is the largest thing that anybody sends, but for messages to be judged.
BODY_LIMIT = 2_000_000
_MORE = TRIAL_LIMIT_BYTES + 100_000
LARGER = {"/policy/simulate": _MORE, f"{API_ROOT}/simulate/message": _MORE}


def create_app(backstage: Backstage) -> ASGIApp:
    """Return pages and API behind their guard."""
    return Guarded(_whole(backstage), backstage.gate, BODY_LIMIT, LARGER)


def create_api(backstage: Backstage, caller: Caller) -> FastAPI:
    """Return the API alone, for one caller who needs no token."""
    app = _empty(backstage)
    app.state.local_caller = caller
    for router in api.routers():
        app.include_router(router, prefix=API_ROOT)
    return app


def openapi_app(backstage: Backstage) -> FastAPI:
    """Return the application without its guard, for what reads its description."""
    return _whole(backstage)


def _whole(backstage: Backstage) -> FastAPI:
    app = _empty(backstage)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for router in api.routers():
        app.include_router(router, prefix=API_ROOT, responses=PROBLEMS, dependencies=[BY_TOKEN])
    for router in pages.routers():
        app.include_router(router, include_in_schema=False)
    return app


def _empty(backstage: Backstage) -> FastAPI:
    app = FastAPI(
        title="Gatepost",
        version="1",
        description="The administrator's API of a Gatepost gateway: what console and command do, by the same rights.",
        openapi_url=f"{API_ROOT}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.backstage = backstage
    answer_problems(app)
    return app
