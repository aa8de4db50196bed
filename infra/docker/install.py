"""Make the broker ready for the services (I/O; a one-shot in its container, at every start).

Owns: the order: topology, the services' broker users and rights, a user that may look at figures and nothing else, and
the first policy where none is active.
Input: settings and secrets in /run/gatepost, the first policy's file as the only argument.
On failure: says what is wrong and ends with 1 (2 for settings); the services that wait for it do not start.
"""

import asyncio
import sys
from pathlib import Path

from services.console import installer
from services.console.actions.desk import ActionError, Desk, open_desk
from services.console.actions.policies import active_policy, apply_policy
from services.console.actions.topology import admin_broker, apply_topology, as_broker
from services.console.identity.rights import on_this_host
from services.console.management import ManagementError
from services.console.settings import ConsoleSettings, load_console_settings, settings_path
from shared.errors import SettingsError

_WHO = "installer"


async def install(settings: ConsoleSettings, folder: Path, first_policy: str) -> None:
    """Do all of it. Raises ActionError, ManagementError, PolicyError."""
    differences = await apply_topology(settings, folder)
    if differences:
        raise ActionError("\n".join(["the broker differs:", *differences]))
    print("installer: topology and rights are as this version wants them")
    await asyncio.to_thread(add_monitor, settings)
    async with open_desk(settings, on_this_host(_WHO)) as desk:
        await apply_first_policy(desk, first_policy)


def add_monitor(settings: ConsoleSettings) -> None:
    """Have the user of [management] see queue depths, without a right to any queue. Raises ManagementError."""
    admin, url = admin_broker(settings)
    installer.add_monitor(admin, url, as_broker(settings)[0])


async def apply_first_policy(desk: Desk, text: str) -> None:
    """Make a document the policy in force, unless there is one. Raises ActionError, PolicyError."""
    active = await active_policy(desk)
    if active is not None:
        print(f"installer: policy version {active.version} stays in force")
        if active.text != text:
            print("installer: the policy's file differs; to apply it:")
            print('installer:   docker compose exec -T console gatepost policy apply /dev/stdin --reason "…" <FILE')
        return
    applied = await apply_policy(desk, text, "the first policy")
    print(f"installer: policy version {applied.entry.version} is in force")


def main() -> int:
    """Install; return the exit code."""
    try:
        settings = load_console_settings()
        first_policy = Path(sys.argv[1]).read_text(encoding="utf-8")
        asyncio.run(install(settings, settings_path().parent, first_policy))
    except SettingsError as error:
        print(f"installer: {error}", file=sys.stderr)
        return 2
    except (ActionError, ManagementError, OSError) as error:
        print(f"installer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
