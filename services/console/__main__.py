"""`python -m services.console`: the recorder."""

import sys

import uvloop

from services.console.app import run
from services.console.settings import load_console_settings
from shared.errors import SettingsError
from shared.logs import configure_logs


def main() -> int:
    """Run the recorder; 2 for settings that cannot be used."""
    try:
        settings = load_console_settings()
    except SettingsError as error:
        print(f"gatepost console: {error}", file=sys.stderr)
        return 2
    configure_logs("console", settings.log)
    return uvloop.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
