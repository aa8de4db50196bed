"""`python -m services.delivery`: the delivery service in the foreground."""

import sys

import uvloop

from services.delivery.app import serve
from services.delivery.settings import DeliverySettings
from shared.errors import SettingsError
from shared.logs import configure_logs
from shared.settings import load_settings


def main() -> int:
    """Run the service; return its exit code. 78: settings that cannot be used (EX_CONFIG)."""
    try:
        settings = load_settings(DeliverySettings)
    except SettingsError as error:
        print(f"gatepost delivery: {error}", file=sys.stderr)
        return 78
    configure_logs("delivery", settings.log)
    return uvloop.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())
