"""Which antispam engine the settings name (wiring)."""

from typing import assert_never

from services.content.engines.failover import FailoverEngine
from services.content.engines.rspamd import RspamdBackend
from services.content.engines.spamd import SpamdBackend
from services.content.settings import AntispamSettings
from services.content.spam import SpamEngine


def open_antispam(settings: AntispamSettings, hostname: str) -> SpamEngine | None:
    """Return the engine, or None where there is none on purpose. Nothing is connected yet. hostname: ours."""
    match settings.engine:
        case "none":
            return None
        case "rspamd":
            backend = RspamdBackend(settings.connections, hostname, settings.max_bytes)
            return FailoverEngine(backend, settings.addresses)
        case "spamd":
            return FailoverEngine(SpamdBackend(settings.connections, settings.max_bytes), settings.addresses)
        case _:
            assert_never(settings.engine)
