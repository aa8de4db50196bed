"""What the pipeline runs on: broker, topology, Redis, DNS (I/O: sockets, each with a deadline)."""

import asyncio
import contextlib

from aio_pika.exceptions import AMQPError

from services.console.actions.desk import ActionError
from services.console.actions.topology import admin_broker
from services.console.doctor.finding import Finding, aside, good, wrong
from services.console.installer import compare
from services.console.management import ManagementError
from services.console.settings import ConsoleSettings
from shared.broker.connect import open_connection
from shared.broker.topology import QUEUES
from shared.dns.answer import DnsTemporary
from shared.dns.resolver import CachingResolver, system_nameservers
from shared.settings import DnsSettings, RedisSettings
from shared.state.port import StateUnavailable
from shared.state.redis import RedisState

_DEADLINE_S = 8.0
_APPLY = "gatepost topology apply"


async def broker(settings: ConsoleSettings) -> list[Finding]:
    """Look whether the broker lets us in, and whether our queues are there."""
    where = f"{settings.broker.host}:{settings.broker.port}"
    try:
        async with asyncio.timeout(_DEADLINE_S):
            connection = await open_connection(settings.broker, "gatepost-doctor")
    except (AMQPError, OSError, TimeoutError) as error:
        text = f"{where}: {type(error).__name__}: {error}"
        return [wrong("broker", text, "start RabbitMQ, or correct [broker] host, port, user and password")]
    missing = []
    try:
        async with asyncio.timeout(_DEADLINE_S):
            for spec in QUEUES:
                # A failed passive declare closes its channel, so each has its own.
                channel = await connection.channel()
                try:
                    await channel.declare_queue(spec.name, passive=True)
                    await channel.close()
                except AMQPError:
                    missing.append(spec.name)
    except TimeoutError:
        return [wrong("broker", f"{where} is slow to answer", "look at RabbitMQ's own console and log")]
    finally:
        with contextlib.suppress(Exception):
            await connection.close()
    if missing:
        return [wrong("broker", f"{where} answers, but lacks {', '.join(missing)}", _APPLY)]
    return [good("broker", f"{where} answers and has all {len(QUEUES)} queues")]


async def topology(settings: ConsoleSettings) -> list[Finding]:
    """Compare arguments, bindings and rights with what this version wants."""
    if settings.admin is None:
        # By design: the administrator is the installer's alone where the services have hosts or users of their own.
        return [aside("topology", "no [admin] here; run doctor where the installer runs to compare it")]
    try:
        admin, url = admin_broker(settings)
        found = await compare(admin, url)
    except ActionError as error:
        return [aside("topology", f"{error}")]
    except ManagementError as error:
        return [
            wrong("topology", str(error), "start RabbitMQ's management plugin, or correct [management] and [admin]")
        ]
    if not found:
        return [good("topology", "exchanges, queues, arguments, bindings and rights are as declared")]
    return [wrong("topology", difference, _APPLY) for difference in found]


async def redis(settings: RedisSettings | None) -> list[Finding]:
    """Look whether the shared state answers, where the settings name one."""
    if settings is None:
        return []
    where = f"{settings.host}:{settings.port}"
    state = RedisState(settings)
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await state.start()
            await state.get(["doctor:probe"])
    except (StateUnavailable, TimeoutError) as error:
        text = f"{where}: {error}; mail flows, bans and greylisting stand aside, and each process counts by itself"
        return [wrong("redis", text, "start Redis, or correct [redis] host, port and password")]
    finally:
        await state.close()
    return [good("redis", f"{where} answers")]


async def dns(settings: DnsSettings, name: str) -> list[Finding]:
    """Ask for a name; that there is none is an answer too."""
    mend = "correct [dns] nameservers; without DNS, SPF, DKIM and DMARC are temporary errors and mail is deferred"
    try:
        nameservers = system_nameservers() if settings.nameservers == ["system"] else settings.nameservers
        resolver = CachingResolver(nameservers, settings.zone_files, settings.timeout_s)
    except (OSError, ValueError) as error:
        return [wrong("DNS", str(error), "correct [dns] nameservers and zone_files")]
    try:
        answer = await resolver.lookup(name, "MX")
    except (DnsTemporary, ValueError) as error:
        return [wrong("DNS", str(error), mend)]
    finally:
        await resolver.close()
    found = f"{len(answer.records)} MX" if answer.records else "answered, without records"
    return [good("DNS", f"{name}: {found}")]
