"""Declaring the topology in RabbitMQ (I/O: management API, the services' settings files).

Owns: where the administrator and the services' broker passwords come from.
On failure: ActionError.
"""

from pathlib import Path

from pydantic import SecretStr

from services.console.actions.desk import ActionError
from services.console.settings import ConsoleSettings
from shared.broker.topology import RIGHTS
from shared.errors import SettingsError
from shared.settings import BrokerSettings, read_private_toml


def admin_broker(settings: ConsoleSettings) -> tuple[BrokerSettings, str]:
    """Return the administrator's way to the broker and the management URL. Raises ActionError."""
    if settings.admin is None or settings.management is None:
        raise ActionError("this needs a RabbitMQ administrator: set [admin] user and password, and [management] url")
    changes = {
        "user": settings.admin.user,
        "password": settings.admin.password,
        "ca_file": settings.management.ca_file or settings.broker.ca_file,
    }
    return settings.broker.model_copy(update=changes), settings.management.url


def service_passwords(settings: ConsoleSettings, folder: Path) -> dict[str, str]:
    """Return the broker passwords of the services whose settings lie in a folder, by user. Raises ActionError."""
    passwords = {settings.broker.user: settings.broker.password.get_secret_value()}
    for service in RIGHTS:
        path = folder / f"{service}.toml"
        if not path.exists():
            continue
        try:
            broker = BrokerSettings.model_validate(read_private_toml(path).get("broker"))
        except (SettingsError, ValueError) as error:
            raise ActionError(f"{path}: {error}") from None
        passwords[broker.user] = broker.password.get_secret_value()
    return {user: password for user, password in passwords.items() if user in RIGHTS}


async def apply_topology(settings: ConsoleSettings, folder: Path) -> tuple[str, ...]:
    """Declare what is missing; return what differs all the same, a sentence each. Raises ActionError."""
    # Imported here, like all that only one command needs: `gatepost status` should be quick.
    from services.console.installer import apply  # noqa: PLC0415
    from services.console.management import ManagementError  # noqa: PLC0415

    admin, url = admin_broker(settings)
    try:
        return await apply(admin, url, service_passwords(settings, folder))
    except ManagementError as error:
        raise ActionError(str(error)) from None


def as_broker(settings: ConsoleSettings) -> tuple[BrokerSettings, str]:
    """Return the management API's own user and URL. Raises ActionError."""
    if settings.management is None:
        raise ActionError("queue depths need RabbitMQ's management API: set [management] url, user and password")
    user, password = settings.management.user, SecretStr(settings.management.password.get_secret_value())
    changes = {"user": user, "password": password, "ca_file": settings.management.ca_file or settings.broker.ca_file}
    return settings.broker.model_copy(update=changes), settings.management.url
