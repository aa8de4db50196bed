"""The REST API, a module per subject: each has a `router`."""

import importlib
import pkgutil
from collections.abc import Iterator

from fastapi import APIRouter


def routers() -> Iterator[APIRouter]:
    """Yield the router of every module here, by name."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        router = importlib.import_module(f"{__name__}.{module.name}").router
        assert isinstance(router, APIRouter)
        yield router
