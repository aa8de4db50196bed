"""Run the edge: `python -m services.edge` with GATEPOST_SETTINGS_FILE naming its settings."""

import ctypes
import sys

import uvloop

from services.edge.app import Edge
from services.edge.settings import EdgeSettings
from shared.errors import SettingsError
from shared.logs import configure_logs
from shared.settings import load_settings

_M_MMAP_THRESHOLD = -3


def main() -> int:
    """Return the exit code."""
    _return_large_blocks()
    try:
        settings = load_settings(EdgeSettings)
        configure_logs("edge", settings.log)
        return uvloop.run(_serve(settings))
    except (SettingsError, OSError) as error:
        print(f"gatepost edge: {error}", file=sys.stderr)
        return 1


async def _serve(settings: EdgeSettings) -> int:
    return await Edge(settings).run()


def _return_large_blocks() -> None:
    """Have glibc give blocks from 256 kB back to the system when they are freed; else messages leave holes behind."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 262_144)


if __name__ == "__main__":
    sys.exit(main())
