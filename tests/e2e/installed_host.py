"""A host of its own for tests: a network namespace, a folder that `make install` filled, and its units' services.

    switch = Switch("10.213.77")
    host = InstalledHost(switch, "edge", 11, folder)
    host.install(services="edge", bundle=path)
    edge = host.start("edge")                     # as its unit says: user, capabilities, environment, read-only system
    with host.network(): socket.create_connection(("10.213.77.12", 5671))
    switch.close()

Owns: namespaces, mounts (each process sees the folder's /etc, /opt and /var/lib in place of the machine's), and how a unit's
keys are carried out without systemd: user, group, capabilities, limits, environment, state and working folder,
ProtectSystem, ProtectHome, PrivateTmp, NoNewPrivileges, umask. What needs systemd itself (system call filter, address
families, restart) is not.
"""

import contextlib
import ctypes
import os
import resource
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.local.layout import REPOSITORY
from tests.unit.infra.test_systemd import Unit, read

_PYTHON = "/usr/bin/python3"
_CLONE_NEWNET = 0x40000000
_SYSTEM = "etc/systemd/system"


def run(*command: str, **more: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **more})
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}{done.stdout}"
    return done.stdout


def why_not() -> str:
    """Return why this machine can run no such hosts, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "nsenter", "unshare", "setpriv", "systemd-sysusers", _PYTHON):
        if shutil.which(tool) is None:
            return f"{tool} is missing"
    probe = f"gpt{os.getpid()}"
    script = f"ip netns add {probe} && ip netns exec {probe} unshare -mu mount -t tmpfs none /mnt"
    script += f"; code=$?; ip netns del {probe}; exit $code"
    lacking = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    return f"namespaces are not permitted: {lacking.stderr.strip()}" if lacking.returncode else ""


class Switch:
    """The wire between the hosts: a bridge in a namespace of its own."""

    def __init__(self, network: str) -> None:
        self.network = network
        self._prefix = f"gp{os.getpid()}"
        self._names: list[str] = []
        self.started: list[subprocess.Popen[bytes]] = []
        self._own = self.namespace("wire")
        run("ip", "-n", self._own, "link", "add", "wire", "type", "bridge")
        run("ip", "-n", self._own, "link", "set", "wire", "up")

    def namespace(self, name: str) -> str:
        """Make a namespace and return its name."""
        full = f"{self._prefix}-{name}"
        run("ip", "netns", "add", full)
        self._names.append(full)
        run("ip", "-n", full, "link", "set", "lo", "up")
        return full

    def plug(self, namespace: str, number: int) -> str:
        """Give a namespace an address on the wire and return it."""
        address = f"{self.network}.{number}"
        run("ip", "-n", self._own, "link", "add", f"port{number}", "type", "veth", "peer", "eth0", "netns", namespace)
        run("ip", "-n", self._own, "link", "set", f"port{number}", "master", "wire", "up")
        run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", namespace, "link", "set", "eth0", "up")
        return address

    def close(self) -> None:
        """End what runs in the namespaces, and remove them."""
        for name in self._names:
            for pid in run("ip", "netns", "pids", name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for process in self.started:
            process.wait()
        for name in self._names:
            run("ip", "netns", "del", name)


class InstalledHost:
    """One host. name: its host name; number: the end of its address."""

    def __init__(self, switch: Switch, name: str, number: int, folder: Path) -> None:
        self.name = name
        self.root = folder / name
        self.namespace = switch.namespace(name.partition(".")[0])
        self._switch = switch
        self.address = switch.plug(self.namespace, number)
        self._logs = folder
        self.source = _checkout_in(folder)
        for part in ("etc", "opt", "run/clamav", "var/lib/rabbitmq", "var/log/rabbitmq"):
            (self.root / part).mkdir(parents=True)
        for file in ("passwd", "group"):
            shutil.copy(f"/etc/{file}", self.root / "etc" / file)
        # Nobody has a password, and `su` of root's asks for none.
        locked = [f"{line.partition(':')[0]}:*:19000::::::" for line in Path("/etc/passwd").read_text().splitlines()]
        (self.root / "etc/shadow").write_text("\n".join(locked) + "\n")
        (self.root / "etc/shadow").chmod(0o600)
        # No way leads there: DNS that does not answer is known at once.
        (self.root / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
        self._users()

    def know(self, hosts: Mapping[str, str]) -> None:
        """Write /etc/hosts: addresses by name; its own name leads to 127.0.1.1, as Debian has it."""
        lines = ["127.0.0.1 localhost", f"127.0.1.1 {self.name} {self.name.partition('.')[0]}"]
        lines += [f"{address} {name}" for name, address in hosts.items() if name != self.name]
        (self.root / "etc/hosts").write_text("\n".join(lines) + "\n")

    def take_programs_of(self, other: "InstalledHost") -> None:
        """Have the same programs as another host, which then need not be installed again."""
        run("cp", "-al", str(other.root / "opt/gatepost"), str(self.root / "opt/gatepost"))

    def install(self, services: str, **options: str) -> str:
        """Run `make install`."""
        words = [f"{key.upper()}={value}" for key, value in options.items()]
        words += [f"SERVICES={services}", f"ROOT={self.root}", f"GATEPOST_HOSTNAME={self.name}"]
        said = run("make", "--no-print-directory", "-C", str(self.source), "install", *words, PYTHON=_PYTHON)
        self._users()
        return said

    def unit(self, service: str) -> Unit:
        """Return a unit's section [Service] as it was installed, with the sandbox laid over it."""
        unit = read(self.root / _SYSTEM / f"gatepost-{service}.service")["Service"]
        for key, values in read(self.root / _SYSTEM / "gatepost-.service.d/sandbox.conf")["Service"].items():
            unit[key] = unit[key] + values
        return unit

    def start(self, service: str) -> subprocess.Popen[bytes]:
        """Start a service as its unit says; its output goes to `log(service)`."""
        unit = self.unit(service)
        uid, gid = self._ids[unit["User"][0]]
        script = [*self._mounts(), *_sandbox(unit, self.root, uid, gid)]
        caps = [f"+{cap.removeprefix('CAP_').lower()}" for line in unit["AmbientCapabilities"] for cap in line.split()]
        bounding = [
            f"+{cap.removeprefix('CAP_').lower()}" for line in unit["CapabilityBoundingSet"] for cap in line.split()
        ]
        become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]
        become += [f"--bounding-set={','.join(['-all', *bounding])}", f"--inh-caps={','.join(['-all', *caps])}"]
        become += [f"--ambient-caps={','.join(caps)}"] if caps else []
        script.append(f"exec env -i {shlex.join(self._environment(unit))} {shlex.join(become)} {unit['ExecStart'][0]}")
        return self._spawn(service, script)

    def start_rabbitmq(self) -> subprocess.Popen[bytes]:
        """Start Debian's RabbitMQ with what was installed for it, as its own unit does."""
        uid, gid = self._ids["rabbitmq"]
        script = self._mounts()
        for path in ("var/lib/rabbitmq", "var/log/rabbitmq"):
            os.chown(self.root / path, uid, gid)
        script += [f"mount --bind {self.root}/var/log/rabbitmq /var/log/rabbitmq", "cd /var/lib/rabbitmq"]
        environment = "HOME=/var/lib/rabbitmq PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8"
        become = f"setpriv --reuid={uid} --regid={gid} --clear-groups"
        script.append(f"exec env -i {environment} {become} /usr/lib/rabbitmq/bin/rabbitmq-server")
        return self._spawn("rabbitmq", script)

    def root_runs(self, *command: str, **environment: str) -> str:
        """Run a command on this host as root."""
        script = "\n".join(["set -e", *self._mounts(), f"exec {shlex.join(command)}"])
        return run(*self._enter(), "sh", "-c", script, **environment)

    def doctor(self) -> str:
        """Return what the doctor finds here, whether it is content or not."""
        return self.root_runs("sh", "-c", "/opt/gatepost/bin/gatepost doctor || true")

    def gatepost(self, *words: str, **environment: str) -> str:
        """Run the command `gatepost` on this host, as root."""
        return self.root_runs("/opt/gatepost/bin/gatepost", *words, **environment)

    def log(self, service: str) -> str:
        """Return what a service said."""
        return (self._logs / f"{self.name}-{service}.log").read_text()

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Have this thread open its sockets on this host for the length of a `with`."""
        with in_namespace(self.namespace):
            yield

    def _spawn(self, service: str, script: list[str]) -> subprocess.Popen[bytes]:
        with (self._logs / f"{self.name}-{service}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._enter(), "sh", "-c", "\n".join(["set -e", *script])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._switch.started.append(process)
        return process

    def _enter(self) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "--uts"]

    def _mounts(self) -> list[str]:
        root = shlex.quote(str(self.root))
        return [
            f"hostname {self.name}",
            # The machine's own, where the host's folder has nothing.
            f"mount -t overlay -o lowerdir={root}/etc:/etc overlay /etc",
            f"mount --bind {root}/etc/gatepost /etc/gatepost",
            "mount -t tmpfs none /opt",
            "mkdir /opt/gatepost",
            f"mount --bind {root}/opt/gatepost /opt/gatepost",
            f"mount --bind {root}/var/lib /var/lib",
            "mount -t tmpfs -o mode=755 none /run",
            "mkdir /run/clamav",
            f"mount --bind {root}/run/clamav /run/clamav",
        ]

    def _environment(self, unit: Unit) -> list[str]:
        words = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"]
        words += [word for line in unit["Environment"] for word in line.split()]
        for line in unit["EnvironmentFile"]:
            path = self.root / line.lstrip("-").lstrip("/")
            words += path.read_text().split() if path.exists() else []
        return words

    def _users(self) -> None:
        fields = [line.split(":") for line in (self.root / "etc/passwd").read_text().splitlines()]
        self._ids = {field[0]: (int(field[2]), int(field[3])) for field in fields}


def _sandbox(unit: Unit, root: Path, uid: int, gid: int) -> Iterator[str]:
    """Return what makes the mounts of a unit, in the order in which it works."""
    writable = []
    for name in unit["StateDirectory"]:
        folder = root / "var/lib" / name
        folder.mkdir(exist_ok=True)
        os.chown(folder, uid, gid)
        folder.chmod(int(unit["StateDirectoryMode"][0], 8))
        writable.append(f"/var/lib/{name}")
    if unit["ProtectSystem"] == ["strict"]:
        for path in writable:
            yield f"mount --bind {path} {path}"
        for mounted in ("/", "/etc/gatepost", "/opt", "/opt/gatepost", "/var/lib", "/run", "/run/clamav"):
            yield f"mount -o remount,bind,ro {mounted}"
    if unit["PrivateTmp"] == ["yes"]:
        yield "mount -t tmpfs -o mode=1777 none /tmp"
    if unit["ProtectHome"] == ["yes"]:
        yield "mount -t tmpfs -o ro none /root"
        yield "mount -t tmpfs -o ro none /home"
    yield f"umask {unit['UMask'][0]}"
    # As far as this machine lets us.
    yield f"ulimit -n {min(int(unit['LimitNOFILE'][0]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])}"
    yield f"ulimit -c {unit['LimitCORE'][0]}"
    yield f"cd {unit['WorkingDirectory'][0] if unit['WorkingDirectory'] else '/'}"


def _checkout_in(folder: Path) -> Path:
    """Return a checkout that nobody edits while hosts are installed from it."""
    source = folder / "checkout"
    if not source.exists():
        source.mkdir()
        for part in ("Makefile", "README.md", "pyproject.toml", "requirements.lock", "services", "shared", "infra"):
            run("cp", "-R", str(REPOSITORY / part), str(source / part))
    return source


@contextlib.contextmanager
def in_namespace(name: str) -> Iterator[None]:
    """Have this thread open its sockets in a network namespace for the length of a `with`."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{name}").open() as there:
        assert libc.setns(there.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), _CLONE_NEWNET) == 0
