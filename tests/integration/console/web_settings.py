"""Settings of a console for tests of its pages and API."""

from pathlib import Path

from services.console.database import Database
from services.console.settings import ConsoleSettings
from shared.settings import BrokerSettings

SECRET = "0123456789abcdef0123456789abcdef"


def settings_for(database: Database, folder: Path, broker: BrokerSettings | None = None) -> ConsoleSettings:
    """Return settings with a database; without a broker nothing can be published. DNS knows nothing, and at once."""
    there = broker or BrokerSettings(user="console", password="none", port=1)
    return ConsoleSettings.model_validate(
        {
            "hostname": "mx.gate.example",
            "broker": there,
            "health": {"port": 0},
            "dns": {"nameservers": []},
            "database": {"url": database.url.render_as_string(hide_password=False)},
            "web": {
                "port": 0,
                "certificate_file": folder / "web.pem",
                "key_file": folder / "web.key",
                "public_url": "https://console.test",
                "secret": SECRET,
            },
        }
    )
