"""`python -m services.content`: the content stage of this host."""

import asyncio
import sys

from services.content.settings import ContentSettings
from services.content.workers import workers
from shared.errors import SettingsError
from shared.logs import configure_logs
from shared.settings import load_settings


def main() -> int:
    """Run the workers until a signal; return the exit code."""
    try:
        settings = load_settings(ContentSettings)
    except SettingsError as error:
        print(f"content: {error}", file=sys.stderr)
        return 2
    configure_logs("content", settings.log)
    asyncio.run(workers(settings).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
