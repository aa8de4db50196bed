"""What has to be done once the local broker is up (I/O): topology, users, first policy, waiting for the services.

Output: lines for the terminal as things come to be.
On failure: BringUpFailed saying what did not come up and where its log is.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from infra.docker.install import add_monitor
from infra.local.generate import Generated
from infra.local.layout import Layout
from infra.local.ports import is_listening
from infra.local.rspamd import answers
from services.console.actions.desk import ActionError, open_desk, os_user
from services.console.actions.policies import active_policy, apply_policy
from services.console.actions.status import Readiness, readiness
from services.console.actions.topology import apply_topology
from services.console.actions.users import invite_first
from services.console.identity.invitations import has_administrator
from services.console.management import ManagementError
from shared.policy import PolicyError, parse_policy

_BROKER_S = 120.0
_SERVICES_S = 120.0
_POLL_S = 0.1


class BringUpFailed(Exception):
    """Something that did not come up."""


async def bring_up(layout: Layout, settings: Generated) -> None:
    """Return when the gateway takes mail. Raises BringUpFailed."""
    node = settings.rabbitmq
    await _until(
        lambda: asyncio.to_thread(lambda: all(map(is_listening, (node.management_port, node.amqp_port)))),
        _BROKER_S,
        f"RabbitMQ did not come up; its log: {layout.logs}/rabbitmq.log",
    )
    try:
        differences = await apply_topology(settings.console, layout.settings)
        await asyncio.to_thread(add_monitor, settings.console)
    except (ActionError, ManagementError) as error:
        raise BringUpFailed(f"the topology could not be declared: {error}") from None
    if differences:
        raise BringUpFailed("\n  ".join(["the broker holds something else than this version wants:", *differences]))
    print("RabbitMQ is up: topology, users and rights are in place.", flush=True)
    # The recorder makes the database's tables; the policy's history is in one of them.
    await _until_ready(layout, settings, ("recorder",))
    try:
        await _first_policy(layout, settings)
    except (ActionError, PolicyError, OSError, UnicodeDecodeError) as error:
        raise BringUpFailed(f"{layout.policy_file}: {error}") from None
    clamd = settings.clamd
    if not clamd.has_full_database:
        print(
            f"No complete ClamAV database (main, daily) in {clamd.database}: clamd knows the EICAR test file ALONE.\n"
            "  For real protection run freshclam, then start again.",
            flush=True,
        )
    await _until(
        lambda: asyncio.to_thread(is_listening, clamd.port),
        _SERVICES_S,
        f"clamd did not come up; its log: {layout.logs}/clamd.log",
    )
    if "rspamd" in settings.engines:
        await _until(
            lambda: asyncio.to_thread(answers, settings.rspamd.port),
            _SERVICES_S,
            f"Rspamd did not come up; its log: {layout.logs}/rspamd.log",
        )
    await _until_ready(layout, settings, ("edge", "content", "delivery", "recorder"))


async def first_administrator(settings: Generated) -> str:
    """Return a link by which the first administrator comes into the console, or nothing where there is one."""
    if settings.console.web is None:
        return ""
    async with open_desk(settings.console, os_user()) as desk:
        async with desk.database.reading() as connection:
            if await has_administrator(connection):
                return ""
        return (await invite_first(desk)).link


async def _first_policy(layout: Layout, settings: Generated) -> None:
    text = layout.policy_file.read_text(encoding="utf-8")
    async with open_desk(settings.console, os_user()) as desk:
        active = await active_policy(desk)
        if active is None:
            applied = await apply_policy(desk, text, "the first policy, applied by make run")
            print(f"Policy version {applied.entry.version} is in force, from {layout.policy_file}.", flush=True)
        elif active.text == text:
            print(f"Policy version {active.version} is in force.", flush=True)
        else:
            parse_policy(text)
            print(
                f"Policy version {active.version} is in force; {layout.policy_file} differs. To apply it:\n"
                f'  .venv/bin/gatepost policy apply {layout.policy_file} --reason "…"',
                flush=True,
            )


async def _until_ready(layout: Layout, settings: Generated, services: tuple[str, ...]) -> None:
    last: list[Readiness] = []

    async def all_ready() -> bool:
        last[:] = [said for said in await readiness(settings.console) if said.service in services and not said.ready]
        return not last

    try:
        await _until(all_ready, _SERVICES_S, "")
    except BringUpFailed:
        missing = "; ".join(f"{said.service}: {said.said}" for said in last)
        raise BringUpFailed(f"not ready after {_SERVICES_S:g} s: {missing}; logs: {layout.logs}") from None


async def _until(holds: Callable[[], Awaitable[bool]], deadline_s: float, otherwise: str) -> None:
    give_up_at = time.monotonic() + deadline_s
    while not await holds():
        if time.monotonic() > give_up_at:
            raise BringUpFailed(otherwise)
        await asyncio.sleep(_POLL_S)
