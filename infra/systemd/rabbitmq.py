"""Debian's RabbitMQ on this host, made the gateway's broker (I/O: files, rabbitmqctl).

Owns: /etc/rabbitmq as far as it is ours, and the one user that administers. What else lies there stays.
Output: AMQPS on 5671 for hosts with a certificate of our authority, AMQP on loopback alone, RabbitMQ's console over
TLS, no user guest; Erlang's own ports on loopback.
"""

from collections.abc import Mapping
from pathlib import Path

from infra.systemd.host import Host, InstallError
from infra.systemd.shared_settings import AMQPS_PORT
from services.console.host_bundle import CA, CERTIFICATE, KEY

ADMIN = "gatepost-admin"
_ETC = "/etc/rabbitmq"
_CONF = Path(__file__).parents[1] / "rabbitmq" / "host.conf"
_HOST_CONF = """\
# RabbitMQ's addresses and first administrator on this host, written once by `make install`; yours to change.
listeners.ssl.default = {address}:{port}
management.ssl.ip = {address}
default_user = {admin}
default_pass = {password}
default_user_tags.administrator = true
"""
_ENVIRONMENT = """
# Gatepost: one node on one host, whose Erlang ports nobody else needs, and whose name outlives the host's.
NODENAME=rabbit@localhost
ERL_EPMD_ADDRESS=127.0.0.1
SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
"""
_MARK = "# Gatepost:"
_EPMD_SOCKET = "[Socket]\nListenStream=\nListenStream=127.0.0.1:4369\n"


def write_configuration(host: Host, pair: Mapping[str, bytes], password: str, *, for_other_hosts: bool) -> bool:
    """Write all files; return whether RabbitMQ must be started again to see them."""
    if not host.knows("rabbitmq"):
        raise InstallError("RabbitMQ is not installed here: apt-get install rabbitmq-server")
    host.folder(_ETC, 0o755)
    host.folder(f"{_ETC}/conf.d", 0o755)
    host.folder(f"{_ETC}/gatepost", 0o750, "rabbitmq")
    changed = [host.write(f"{_ETC}/conf.d/10-gatepost.conf", _CONF.read_bytes(), 0o644)]
    own = f"{_ETC}/conf.d/20-gatepost-host.conf"
    address = "0.0.0.0" if for_other_hosts else "127.0.0.1"
    text = _HOST_CONF.format(address=address, port=AMQPS_PORT, admin=ADMIN, password=password)
    if not host.path(own).exists():
        changed.append(host.write(own, text.encode(), 0o640, "root", "rabbitmq"))
    elif for_other_hosts and "127.0.0.1:5671" in host.path(own).read_text(encoding="utf-8"):
        print(f"install: {own} lets RabbitMQ listen on loopback alone: put 0.0.0.0 there, for the other hosts")
    # RabbitMQ takes a renewed pair by itself.
    for name in (CA, CERTIFICATE, KEY):
        host.write(f"{_ETC}/gatepost/{name}", pair[name], 0o600, "rabbitmq")
    changed += [_enable_management(host), _keep_erlang_on_loopback(host)]
    return any(changed)


def refuse_where_it_serves_others(host: Host) -> None:
    """Leave a RabbitMQ alone that others use: under a new name, it would not know their queues. Raises InstallError."""
    env = host.path(f"{_ETC}/rabbitmq-env.conf")
    if not host.runs_systemd or (env.exists() and _MARK in env.read_text(encoding="utf-8")):
        return
    if "active" not in host.run("sh", "-c", "systemctl is-active rabbitmq-server || true").split():
        return
    queues = host.run("rabbitmqctl", "-q", "list_queues", "--no-table-headers", "name").split()
    if queues:
        raise InstallError(f"RabbitMQ here serves others already (queue {queues[0]}): put the broker on another host")


def admit_administrator(host: Host, password: str) -> None:
    """Have the running node know our administrator, and no guest. Raises InstallError."""
    users = {line.split("\t")[0] for line in host.run("rabbitmqctl", "-q", "list_users").splitlines()}
    if ADMIN not in users:
        host.run("rabbitmqctl", "-q", "add_user", ADMIN, given=password + "\n")
        host.run("rabbitmqctl", "-q", "set_user_tags", ADMIN, "administrator")
        host.run("rabbitmqctl", "-q", "set_permissions", ADMIN, ".*", ".*", ".*")
    if "guest" in users:
        host.run("rabbitmqctl", "-q", "delete_user", "guest")


def _enable_management(host: Host) -> bool:
    path = f"{_ETC}/enabled_plugins"
    there = host.path(path).read_text(encoding="ascii").strip() if host.path(path).exists() else "[]."
    if "rabbitmq_management" in there.replace("rabbitmq_management_agent", ""):
        return False
    inner = there.removeprefix("[").removesuffix(".").removesuffix("]")
    plugins = ",".join(filter(None, (inner, "rabbitmq_management")))
    return host.write(path, f"[{plugins}].\n".encode(), 0o644)


def _keep_erlang_on_loopback(host: Host) -> bool:
    path = f"{_ETC}/rabbitmq-env.conf"
    there = host.path(path).read_text(encoding="utf-8") if host.path(path).exists() else ""
    if _MARK in there:
        return False
    host.folder("/etc/systemd/system/epmd.socket.d", 0o755)
    host.write("/etc/systemd/system/epmd.socket.d/gatepost.conf", _EPMD_SOCKET.encode(), 0o644)
    return host.write(path, (there + _ENVIRONMENT).encode(), 0o644)
