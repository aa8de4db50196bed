"""A Debian machine where systemd really runs: bootstrapped into a folder, booted by systemd-nspawn.

    host = SystemdHost(folder)
    host.boot()
    host.run("systemctl", "is-active", "gatepost-edge")
    socket.create_connection((host.address, 25))
    host.close()

Owns: the machine's root folder, a network of its own with a way out by NAT (for apt and pip), and its end: afterwards no
process, namespace, rule or folder of it is left.
On failure: AssertionError with what the command said.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.local.layout import REPOSITORY
from tests.e2e.installed_host import run

_TOOLS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "apt-get": "apt",
}
_SUITE = "bookworm"
# Nothing of what `make install` brings itself.
_PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates,make,python3,procps,iproute2"
_NETWORK, _HERE, _THERE = "10.213.78.0/24", "10.213.78.1", "10.213.78.2"
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_BOOT_S = 120.0
_AGAIN = 133


def why_not() -> str:
    """Return why this machine can boot no other, or nothing."""
    if os.geteuid() != 0:
        return "booting a machine needs root"
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    return f"apt-get install {' '.join(missing)}" if missing else ""


class SystemdHost:
    """One machine. folder: where its root folder is made. address: how this machine reaches it."""

    address = _THERE

    def __init__(self, folder: Path, hostname: str) -> None:
        self.root = folder / "root"
        self.hostname = hostname
        self._log = folder / "boot.log"
        self._name = f"gpsd{os.getpid()}"
        self._undo = contextlib.ExitStack()
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}

    def boot(self) -> None:
        """Make the machine and start it; return when systemd has started all it was to start."""
        self._bootstrap()
        self._plug()
        self._start()

    def reboot(self) -> None:
        """Have systemd end all, and start the machine again."""
        self._call("systemctl", "reboot")
        assert self._nspawn is not None
        # So nspawn, which keeps to the unit it was started in, says that it wants to be started again.
        assert self._nspawn.wait(_BOOT_S) == _AGAIN, self._last_words()
        self._start()

    def _start(self) -> None:
        command = [
            *("systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--boot", "--console=pipe"),
            *(f"--directory={self.root}", f"--machine={self._name}", f"--hostname={self.hostname}"),
            *(f"--network-namespace-path=/run/netns/{self._name}", "--resolv-conf=copy-host"),
        ]
        with self._log.open("ab") as log:
            self._nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.until(self._is_booted, "the machine does not boot", _BOOT_S)

    def _is_booted(self) -> bool:
        if self._systemd() is None:
            return False
        return self._call("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def run(self, *command: str) -> str:
        """Run a command there as root and return what it prints."""
        done = self._call(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def says(self, *command: str) -> str:
        """Run a command there as root and return what it prints, however it ends."""
        return self._call(*command).stdout

    def until(self, holds: Callable[[], bool], what: str, deadline_s: float = 90.0) -> None:
        """Return when a condition holds; systemd tells nobody out here of anything by itself."""
        give_up_at = time.monotonic() + deadline_s
        while not holds():
            assert time.monotonic() < give_up_at, f"{what}\n{self._last_words()}"
            time.sleep(0.2)

    def close(self) -> None:
        """Halt the machine and remove all of it."""
        if self._nspawn is not None:
            # nspawn has systemd stop everything.
            self._nspawn.terminate()
            try:
                self._nspawn.wait(90)
            except subprocess.TimeoutExpired:
                # With its first process all others end, and nspawn, too.
                os.kill(int(self._systemd() or self._nspawn.pid), signal.SIGKILL)
                self._nspawn.wait()
        self._undo.close()
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(f"/run/systemd/nspawn/propagate/{self._name}", ignore_errors=True)
        _forget_control_groups()

    def _bootstrap(self) -> None:
        uris = run(
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
            "Label: Debian",
        )
        mirror = min(uris.split())
        run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(self.root), mirror)
        etc = self.root / "etc"
        settings = [line for line in run("apt-config", "dump", "Acquire").splitlines() if _is_a_way(line)]
        (etc / "apt/apt.conf.d/00host").write_text("\n".join([*settings, ""]))
        (etc / "hostname").write_text(f"{self.hostname}\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.hostname}\n")
        self._environment = {"DEBIAN_FRONTEND": "noninteractive", **self._ways_of_pip(etc)}
        checkout = self.root / "root/gatepost"
        checkout.mkdir()
        for part in ("Makefile", "README.md", "pyproject.toml", "requirements.lock", "services", "shared", "infra"):
            run("cp", "-R", str(REPOSITORY / part), str(checkout / part))

    def _ways_of_pip(self, etc: Path) -> dict[str, str]:
        """Have pip there reach the package index as pip here does."""
        found = {}
        if bundle := os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE"):
            shutil.copy(bundle, etc / "ssl/certs/host-ca.crt")
            found["PIP_CERT"] = "/etc/ssl/certs/host-ca.crt"
        command = ["python3", "-m", "pip", "config", "get", "global.index-url"]
        index = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return found | ({"PIP_INDEX_URL": index} if index else {})

    def _plug(self) -> None:
        name, link = self._name, ("ip", "-n", self._name)
        self._do(("ip", "netns", "add", name), ("ip", "netns", "del", name))
        self._do(("ip", "link", "add", name, "type", "veth", "peer", "name", "host0", "netns", name))
        run("ip", "address", "add", f"{_HERE}/24", "dev", name)
        run("ip", "link", "set", name, "up", "mtu", "1400")
        run(*link, "link", "set", "lo", "up")
        run(*link, "address", "add", f"{_THERE}/24", "dev", "host0")
        run(*link, "link", "set", "host0", "up", "mtu", "1400")
        run(*link, "route", "add", "default", "via", _HERE)
        before = _FORWARD.read_text()
        self._undo.callback(lambda: _FORWARD.write_text(before))
        _FORWARD.write_text("1")
        for rule in (
            ("-t", "nat", "{}", "POSTROUTING", "-s", _NETWORK, "!", "-o", name, "-j", "MASQUERADE"),
            ("{}", "FORWARD", "-i", name, "-j", "ACCEPT"),
            ("{}", "FORWARD", "-o", name, "-j", "ACCEPT"),
        ):
            add, take = (tuple(word.format(how) for word in rule) for how in ("-I", "-D"))
            self._do(("iptables", "-w", *add), ("iptables", "-w", *take))

    def _do(self, command: tuple[str, ...], undo: tuple[str, ...] = ()) -> None:
        run(*command)
        if undo:
            self._undo.callback(run, *undo)

    def _systemd(self) -> str | None:
        """Return the number of the machine's first process, as this machine knows it."""
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, self._last_words()
        pid = self._nspawn.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return children[0] if children else None

    def _call(self, *command: str) -> subprocess.CompletedProcess[str]:
        pid = self._systemd()
        assert pid is not None, self._last_words()
        enter = ["nsenter", f"--target={pid}", "--all", "--root", "--wd"]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        words = [f"{key}={value}" for key, value in {**environment, "LANG": "C.UTF-8", **self._environment}.items()]
        return subprocess.run(
            [*enter, "env", "-i", *words, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )  # fmt: skip

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def _forget_control_groups() -> None:
    """Remove what nspawn leaves where no systemd sees to it; folders in which something runs stay."""
    top = Path("/sys/fs/cgroup")
    for folder in (hierarchy / name for hierarchy in (top, *top.iterdir()) for name in ("payload", "supervisor")):
        for path in sorted((folder, *folder.rglob("*/")), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()


def _is_a_way(line: str) -> bool:
    words = line.removeprefix("Acquire::").lower()
    return words.startswith(("check", "http::", "https::", "retries"))


@contextlib.contextmanager
def booted(folder: Path, hostname: str) -> Iterator[SystemdHost]:
    """Give a machine that runs, and take all of it away at the end."""
    host = SystemdHost(folder, hostname)
    try:
        host.boot()
        yield host
    finally:
        host.close()
