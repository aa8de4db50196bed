"""Run the edge: `python -m services.edge` with GATEPOST_SETTINGS_FILE naming its settings."""

import asyncio
import ctypes
import resource
import signal
import sys

import uvloop

from services.edge import privileges
from services.edge.app import Edge
from services.edge.settings import EdgeSettings
from services.edge.sockets import Sockets, bind
from services.edge.tls.certificates import Certificates
from services.edge.workers import workers
from shared.errors import SettingsError
from shared.logs import configure_logs
from shared.settings import load_settings

_M_MMAP_THRESHOLD = -3


def main() -> int:
    """Return the exit code."""
    # Before there is anything to read again, it must not end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _return_large_blocks()
    _allow_many_connections()
    try:
        settings = load_settings(EdgeSettings)
        configure_logs("edge", settings.log)
        return _serve(settings)
    except (SettingsError, OSError) as error:
        print(f"gatepost edge: {error}", file=sys.stderr)
        return 1


def _serve(settings: EdgeSettings) -> int:
    identity = privileges.user_to_become(settings)
    sockets = bind(settings.listeners, settings.workers)
    # From here on nothing needs root. Certificates are read after it, so that what a start can read a reload can, too.
    if identity is not None:
        privileges.become(identity)
    privileges.harden()
    if settings.workers == 1:
        return uvloop.run(_serve_alone(settings, sockets[0]))
    for name, listener in settings.listeners.items():
        # Once here: a worker that cannot read them would be started again and again.
        if listener.certificate_file is not None:
            Certificates(name, listener)
    asyncio.run(workers(settings, sockets).run())
    return 0


async def _serve_alone(settings: EdgeSettings, sockets: Sockets) -> int:
    return await Edge(settings, sockets).run()


def _return_large_blocks() -> None:
    """Have glibc give blocks from 256 kB back to the system when they are freed; else messages leave holes behind."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 262_144)


def _allow_many_connections() -> None:
    """Take as many open files as this process may: the usual soft limit of 1,024 is less than `limits.connections`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
