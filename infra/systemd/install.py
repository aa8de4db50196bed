"""Lays Gatepost's services on this host: users, settings, certificates, units, the broker (I/O; run by install.sh).

Owns: the order, and what is said at the end. The same command again upgrades: settings stay, units and certificates are
written anew, services drain and start again.
Input: which services, the name other hosts reach a broker here by, or the bundle of the broker's host.
On failure: says what is wrong and what to do; exit 1, and the same command goes on from there.
"""

import argparse
import os
import socket
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.systemd import rabbitmq
from infra.systemd.host import Host, InstallError
from infra.systemd.shared_settings import Table, admin_password, broker_name, make_shared
from infra.systemd.stage_files import (
    ETC,
    STAGES,
    write_certificates,
    write_installer_settings,
    write_settings,
)
from infra.systemd.units import enable_and_start, lay_units, retire_recorder
from services.console.authority import Authority
from services.console.host_bundle import BundleError, bundle_files, read_bundle
from shared.address import parse_domain

BROKER = "broker"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to install. broker: the name other hosts reach the one here by, or "". bundle: of the broker's host."""

    services: tuple[str, ...]
    hostname: str
    broker: str
    bundle: Path | None

    @property
    def stages(self) -> tuple[str, ...]:
        """The services of ours among them."""
        return tuple(stage for stage in STAGES if stage in self.services)


@dataclass(frozen=True, slots=True)
class Joined:
    """How this host is part of the gateway: its pair, what its services share, whether RabbitMQ must start again."""

    pair: Mapping[str, bytes]
    shared: Mapping[str, Table]
    broker_changed: bool = False


def install(host: Host, wanted: Wanted) -> None:
    """Do all of it. Raises InstallError, BundleError, OSError."""
    host.folder("/etc/sysusers.d", 0o755)
    host.write("/etc/sysusers.d/gatepost.conf", (_FOLDER / "gatepost.sysusers.conf").read_bytes(), 0o644)
    host.make_users()
    retire_recorder(host)
    host.folder(ETC, 0o711)
    joined = _join(host, wanted)
    written = [stage for stage in wanted.stages if _lay_stage(host, wanted, joined, stage)]
    if "delivery" in wanted.stages:
        host.folder(f"{ETC}/secrets", 0o700, "gatepost-delivery")
        host.give(f"{ETC}/secrets", "gatepost-delivery")
    if "console" in wanted.stages:
        host.write_once(f"{ETC}/policy.toml", (_FOLDER / "policy.toml").read_bytes(), 0o644)
    lay_units(host, wanted.stages)
    for stage in written:
        print(f"install: wrote {ETC}/{stage}.toml; it is yours to change")
    if host.runs_systemd:
        _bring_up(host, wanted, broker_changed=joined.broker_changed)
    else:
        print(f"install: systemd does not run at {host.root}: everything is laid, nothing was started")


def installed(host: Host) -> tuple[str, ...]:
    """Return what is installed here already, by the settings that are there."""
    stages = tuple(stage for stage in STAGES if host.path(f"{ETC}/{stage}.toml").exists())
    return (BROKER, *stages) if broker_name(host) else stages


def _join(host: Host, wanted: Wanted) -> Joined:
    if BROKER in wanted.services:
        return _be_the_brokers_host(host, wanted)
    if wanted.bundle is not None:
        files = read_bundle(wanted.bundle)
        shared = {stage: _table(files[f"{stage}.toml"]) for stage in STAGES if f"{stage}.toml" in files}
        missing = [stage for stage in wanted.stages if stage not in shared and not _has_settings(host, stage)]
        if missing:
            raise InstallError(f"{wanted.bundle} is not for {', '.join(missing)}: issue it with --service {missing[0]}")
        return Joined(files, shared)
    missing = [stage for stage in wanted.stages if not _has_settings(host, stage)]
    if missing:
        raise InstallError(
            f"{', '.join(missing)}: where is the broker? On its host: gatepost topology ca issue {wanted.hostname} "
            f"--service {missing[0]}; carry the file here, and add BUNDLE={wanted.hostname}.tar"
        )
    return Joined({}, {})


def _be_the_brokers_host(host: Host, wanted: Wanted) -> Joined:
    rabbitmq.refuse_where_it_serves_others(host)
    name = wanted.broker or broker_name(host) or wanted.hostname
    shared = make_shared(host, name)
    authority = Authority(host.folder(f"{ETC}/ca", 0o700))
    names = tuple(dict.fromkeys((name, wanted.hostname, "localhost", "127.0.0.1")))
    pair = bundle_files(authority, host.path(f"{ETC}/shared"), names, ())
    all_here = set(wanted.stages) == set(STAGES)
    for_others = bool(wanted.broker) or not all_here
    changed = rabbitmq.write_configuration(host, pair, admin_password(host), for_other_hosts=for_others)
    write_installer_settings(
        host, wanted.hostname, shared["console"], admin_password(host), console_is_here="console" in wanted.stages
    )
    return Joined(pair, shared, changed)


def _lay_stage(host: Host, wanted: Wanted, joined: Joined, stage: str) -> bool:
    if joined.pair:
        write_certificates(host, stage, joined.pair)
    if _has_settings(host, stage):
        host.give(f"{ETC}/{stage}.toml", f"gatepost-{stage}")
        if host.path(f"{ETC}/{stage}").exists():
            host.give(f"{ETC}/{stage}", f"gatepost-{stage}")
        return False
    return write_settings(host, stage, wanted.hostname, joined.shared[stage], wanted.services)


def _bring_up(host: Host, wanted: Wanted, *, broker_changed: bool) -> None:
    host.run("systemctl", "daemon-reload")
    waiting = list(wanted.stages)
    if BROKER in wanted.services:
        host.run("systemctl", "enable", "rabbitmq-server")
        if broker_changed:
            host.run("systemctl", "restart", "epmd.socket")
        host.run("systemctl", "restart" if broker_changed else "start", "rabbitmq-server")
        host.run("rabbitmqctl", "-q", "await_startup")
        rabbitmq.admit_administrator(host, admin_password(host))
        settings = f"GATEPOST_SETTINGS_FILE={ETC}/installer.toml"
        if "console" in waiting:
            # Its database first: the topology's audit is written there.
            enable_and_start(host, ("console",))
            waiting.remove("console")
        print(host.run("env", settings, "/opt/gatepost/bin/gatepost", "topology", "apply"), end="")
    enable_and_start(host, waiting)
    if wanted.stages:
        # What stops them all and starts them with the host.
        host.run("systemctl", "start", "gatepost.target")


def _has_settings(host: Host, stage: str) -> bool:
    return host.path(f"{ETC}/{stage}.toml").exists()


def _table(content: bytes) -> Table:
    return tomllib.loads(content.decode())


def _wanted(host: Host, options: argparse.Namespace) -> Wanted:
    words = options.services.replace(",", " ").split() or list(installed(host)) or ["all"]
    services = (BROKER, *STAGES) if "all" in words else tuple(dict.fromkeys(words))
    unknown = set(services) - {BROKER, *STAGES}
    if unknown:
        raise InstallError(f"{' '.join(sorted(unknown))}: no service; there are {BROKER} {' '.join(STAGES)}, or all")
    hostname = options.hostname or socket.getfqdn()
    try:
        return Wanted(services, parse_domain(hostname), options.broker, options.bundle)
    except ValueError as error:
        raise InstallError(f"the host name {hostname!r}: {error}; give one with GATEPOST_HOSTNAME=") from None


def main(arguments: Sequence[str]) -> int:
    """Install; return the exit code."""
    parser = argparse.ArgumentParser(prog="install", description="Lay Gatepost's services on this host.")
    parser.add_argument("--services", default="", help="of: broker edge content delivery console; or all")
    parser.add_argument("--hostname", default="", help="the name this host goes by in SMTP; else its own")
    parser.add_argument("--broker", default="", help="the name that other hosts reach the broker here by")
    parser.add_argument("--bundle", type=Path, help="made on the broker's host: gatepost topology ca issue")
    parser.add_argument("--root", type=Path, default=Path("/"), help="a folder that stands for the host")
    options = parser.parse_args(arguments)
    try:
        if os.geteuid() != 0:
            raise InstallError("this needs root")
        host = Host(options.root)
        install(host, _wanted(host, options))
    except (InstallError, BundleError, OSError) as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
