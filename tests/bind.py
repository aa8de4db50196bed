"""Real bind9 servers for tests: one that holds a signed zone and an unsigned one, one that validates what it says.

    with bind(folder, {"signed.test": "...", "plain.test": "..."}, signed=["signed.test"], forge=[...]) as resolver:
        CachingResolver([resolver])     # answers from below the signed zone bear the AD bit

Zones are master files without SOA and NS, with names relative to the zone. forge: texts in the signed file, and what
is written in their place after it was signed, which makes their records bogus.
"""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from infra.local.ports import free_ports

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
COMMANDS = ("named", "dnssec-keygen", "dnssec-signzone")
MISSING = any(shutil.which(command, path=PATH) is None for command in COMMANDS)
_STARTS_WITHIN_S = 15.0

_HEAD = """$TTL 300
@ IN SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 60
@ IN NS ns.{zone}.
ns IN A 127.0.0.1
"""
_OPTIONS = """options {{
  directory "{folder}";
  pid-file "{folder}/{name}.pid";
  session-keyfile "{folder}/{name}.key";
  managed-keys-directory "{folder}";
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  allow-query {{ 127.0.0.1; }};
  notify no;
  {more}
}};
controls {{ }};
"""


@contextlib.contextmanager
def bind(
    folder: Path, zones: Mapping[str, str], *, signed: Sequence[str], forge: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run both servers and give the address of the one that validates, as in [dns] nameservers."""
    port, resolver = free_ports(2)
    anchors = [
        _write_zone(folder, zone, text, signed=zone in signed, forge=forge or {}) for zone, text in zones.items()
    ]
    master = _OPTIONS.format(folder=folder, name="master", port=port, more="recursion no; dnssec-validation no;")
    for zone in zones:
        master += f'zone "{zone}" {{ type primary; file "{folder}/{zone}.zone"; }};\n'
    validating = _OPTIONS.format(
        folder=folder,
        name="resolver",
        port=resolver,
        more="recursion yes; dnssec-validation yes; empty-zones-enable no;",
    )
    validating += "trust-anchors {\n" + "".join(anchors) + "};\n"
    for zone in zones:
        validating += f'zone "{zone}" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {port}; }}; }};\n'
    with _named(folder, "master", master, port), _named(folder, "resolver", validating, resolver):
        yield f"127.0.0.1:{resolver}"


def _write_zone(folder: Path, zone: str, text: str, *, signed: bool, forge: Mapping[str, str]) -> str:
    """Write a zone's file; return its trust anchor, if it is signed."""
    file, draft = folder / f"{zone}.zone", folder / f"{zone}.draft"
    draft.write_text(_HEAD.format(zone=zone) + text, "ascii")
    if not signed:
        draft.rename(file)
        return ""
    key = _run(folder, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone).strip()
    record = next(line for line in (folder / f"{key}.key").read_text("ascii").splitlines() if not line.startswith(";"))
    draft.write_text(f"{draft.read_text('ascii')}{record}\n", "ascii")
    # One key for all, and the whole zone on single lines.
    _run(folder, "dnssec-signzone", "-q", "-z", "-O", "full", "-o", zone, "-f", str(file), str(draft), key)
    content = file.read_text("ascii")
    for true, false in forge.items():
        assert true in content
        content = content.replace(true, false)
    file.write_text(content, "ascii")
    flags, protocol, algorithm, *parts = record.split("DNSKEY")[1].split()
    return f'  {zone}. static-key {flags} {protocol} {algorithm} "{"".join(parts)}";\n'


def _run(folder: Path, command: str, *arguments: str) -> str:
    done = subprocess.run(
        [shutil.which(command, path=PATH) or command, *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def _named(folder: Path, name: str, configuration: str, port: int) -> Iterator[None]:
    (folder / f"{name}.conf").write_text(configuration, "ascii")
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [shutil.which("named", path=PATH) or "named", "-g", "-n", "1", "-c", str(folder / f"{name}.conf")],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(process, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, f"named ended: {log.read_text()[-2000:]}"
        assert time.monotonic() < deadline, f"named does not listen: {log.read_text()[-2000:]}"
        time.sleep(0.05)
