"""`make run`: the whole gateway on this machine, in the foreground.

Owns: generating what the programs need, starting them under supervisord, and ending all of it on Ctrl-C or SIGTERM.
Input: GATEPOST_DATA, GATEPOST_POLICY, GATEPOST_SETTINGS (DESIGN §8). Output: a gateway, and on the terminal where
everything is.
On failure: says what is wrong and where the log is, ends what was started, exit 1.
"""

import asyncio
import ctypes
import getpass
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.local.bring_up import BringUpFailed, bring_up, first_administrator
from infra.local.generate import Generated, generate
from infra.local.layout import Layout, layout_of
from infra.local.ports import is_listening
from infra.local.run_as import closed_to_others
from infra.local.supervisor import configuration, programs
from shared.errors import SettingsError
from shared.logs import configure_logs
from shared.settings import LogSettings

_FILES_WANTED = 65_536
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run until told to stop; return the exit code."""
    layout = layout_of()
    configure_logs("run", LogSettings(level="error", format="text"))
    try:
        settings = generate(layout)
        _refuse_taken_ports(settings)
        return asyncio.run(_run(layout, settings))
    except (SettingsError, BringUpFailed) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1


async def _run(layout: Layout, settings: Generated) -> int:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    # A Unix socket's path is short; the data folder's need not be.
    socket_folder = Path(tempfile.mkdtemp(prefix="gatepost-"))
    try:
        return await _manage(layout, settings, socket_folder / "supervisor.sock", told)
    finally:
        shutil.rmtree(socket_folder, ignore_errors=True)


async def _manage(layout: Layout, settings: Generated, socket: Path, told: asyncio.Event) -> int:
    file = layout.data / "supervisord.conf"
    user = getpass.getuser() if os.geteuid() == 0 else None
    file.write_text(configuration(layout, socket, programs(layout, settings.engines), user), encoding="utf-8")
    print(f"Starting the gateway; logs in {layout.logs}.", flush=True)
    manager = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "supervisor.supervisord", "-c", str(file)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        # The terminal's Ctrl-C reaches us alone, and we end the programs in order.
        start_new_session=True,
        preexec_fn=_before_manager,
    )
    bringing_up = asyncio.create_task(_bring_up_and_tell(layout, settings))
    ended = asyncio.create_task(manager.wait())
    stopping = asyncio.create_task(told.wait())
    try:
        await asyncio.wait({bringing_up, ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if bringing_up.done():
            bringing_up.result()
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if told.is_set():
            print("\nStopping: mail under way is finished or stays in RabbitMQ.", flush=True)
            return 0
        print(f"make run: supervisord ended; its log: {layout.logs}/supervisord.log", file=sys.stderr)
        return 1
    finally:
        bringing_up.cancel()
        stopping.cancel()
        if manager.returncode is None:
            manager.terminate()
        await ended
        await asyncio.gather(bringing_up, stopping, return_exceptions=True)


async def _bring_up_and_tell(layout: Layout, settings: Generated) -> None:
    await bring_up(layout, settings)
    link = await first_administrator(settings)
    print("\n".join(_where_everything_is(layout, settings, link)), flush=True)


def _before_manager() -> None:
    """Prepare the manager's process: many files may be open, and it does not outlive us, even if we are killed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _refuse_taken_ports(settings: Generated) -> None:
    taken = [f"{port} ({what})" for what, port in _ports(settings) if port and is_listening(port)]
    if taken:
        raise SettingsError(
            f"something listens already on 127.0.0.1 at {', '.join(taken)}. Is another gateway running? "
            "Other ports can be set in files of a folder that GATEPOST_SETTINGS names (docs/settings.md)."
        )


def _ports(settings: Generated) -> Iterable[tuple[str, int]]:
    node = settings.rabbitmq
    yield from (("AMQP", node.amqp_port), ("RabbitMQ console", node.management_port))
    yield from (("Erlang distribution", node.dist_port), ("epmd", node.epmd_port), ("clamd", settings.clamd.port))
    if "rspamd" in settings.engines:
        yield from (("Rspamd", settings.rspamd.port), ("Rspamd's controller", settings.rspamd.controller_port))
    for name, listener in settings.edge.listeners.items():
        yield f"listener {name}", listener.port
    services = {
        "edge": settings.edge,
        "content": settings.content,
        "delivery": settings.delivery,
        "console": settings.console,
    }
    for name, service in services.items():
        yield f"metrics of {name}", service.health.port
    if settings.console.web is not None:
        yield "console", settings.console.web.port


def _where_everything_is(layout: Layout, settings: Generated, first_link: str) -> Iterator[str]:
    listeners = ", ".join(f"{name} {there.port}" for name, there in settings.edge.listeners.items())
    node = settings.rabbitmq
    mx = settings.edge.listeners.get("mx")
    yield from (
        "",
        "Gatepost takes mail.",
        f"  SMTP on 127.0.0.1    {listeners}",
        f"  console              {_console(settings)}",
        *([f"  first administrator  {first_link}   (good once)"] if first_link else []),
        f"  mailboxes            {layout.mail}/<domain>/<local part>/",
        f"  RabbitMQ console     {node.management_url}  user {node.admin_user}  password {node.admin_password}",
        f"  engines              {_engines(settings)}",
        f"  settings             {layout.settings}",
        f"  logs                 {layout.logs}",
        f"  programs             .venv/bin/supervisorctl -c {layout.data}/supervisord.conf status",
        "  the way of a mail    .venv/bin/gatepost trace ID     and: status, quarantine list, doctor",
    )
    if os.geteuid() == 0 and settings.edge.run_as is None:
        closed = " or ".join(closed_to_others(layout)) or "what it needs"
        yield f"  The edge serves as root, this machine alone: other users cannot read {closed}."
    if mx is not None:
        yield "Try it:"
        yield (
            f"  swaks --server 127.0.0.1:{mx.port} --helo client.sender.test --from alice@sender.test"
            " --to demo@gatepost.test"
        )
        yield "  (unsigned, but its SPF passes)   signed, forged and infected ones:   make demo"
    yield "Ctrl-C ends all of it."


def _console(settings: Generated) -> str:
    web = settings.console.web
    return f"https://localhost:{web.port}/" if web is not None else "none: console.toml has no [web]"


def _engines(settings: Generated) -> str:
    told = f"clamd {settings.clamd.port}"
    if "rspamd" in settings.engines:
        told += f", Rspamd {settings.rspamd.port}"
        told += " (learns)" if settings.rspamd.redis else " (learns nothing: no Redis is set in rspamd.toml)"
    return told


if __name__ == "__main__":
    sys.exit(main())
