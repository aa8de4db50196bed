"""Edge, content with the broker, delivery and console on a host each, installed by `make install`, over AMQPS.

The hosts are network namespaces; each service runs as its installed unit says (see installed_host.py).
"""

import asyncio
import base64
import contextlib
import http.client
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from infra.local.clamd import Clamd, ClamdSettings
from infra.local.ports import free_ports
from services.console.authority import Authority
from tests.e2e.installed_host import InstalledHost, Switch, in_namespace, why_not
from tests.nexthop import NextHop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.skipif(bool(why_not()), reason=why_not())]

NUMBERS = {"edge": 11, "content": 12, "delivery": 13, "console": 14}
HEALTH = {"edge": 9101, "content": 9102, "delivery": 9103, "console": 9104}
SINK = 50
READY_S = 90.0
POLICY = """
[listeners.mx]
purpose = "inbound"
[domains."sink.test"]
recipients = ["demo"]
route = "smtp://{sink}:2525"
"""
# No nameserver can be reached from the hosts: what content asks of the sender's domain is answered from a file.
ZONE = """
$ORIGIN test.
$TTL 300
@       SOA  ns.test. hostmaster.test. 1 3600 600 86400 60
@       NS   ns.test.
sender  A    192.0.2.7
"""
CONTENT_ENV = "GATEPOST_ANTISPAM__ENGINE=none\nGATEPOST_DNS__ZONE_FILES=/etc/gatepost/test.zone\n"
MESSAGE = (
    b"From: a@sender.test\r\nTo: demo@sink.test\r\nSubject: over three hosts\r\nMessage-ID: <three@sender.test>\r\n"
)
MESSAGE += b"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\nHello.\r\n"


@dataclass
class Site:
    """The hosts, what runs on them, and where the next hop and the sender stand."""

    hosts: dict[str, InstalledHost]
    running: dict[str, subprocess.Popen[bytes]]
    outside: str
    sink: str
    authority: Authority

    def settings(self, name: str) -> Path:
        return self.hosts[name].root / f"etc/gatepost/{name}.toml"

    def ready(self, name: str) -> int:
        """Return what /readyz answers, or 0."""
        with contextlib.suppress(OSError), self.hosts[name].network():
            connection = http.client.HTTPConnection("127.0.0.1", HEALTH[name], timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        return 0

    def restart(self, name: str) -> None:
        self.running[name].terminate()
        assert self.running[name].wait(60) == 0
        self.running[name] = self.hosts[name].start(name)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        give_up_at = time.monotonic() + READY_S
        while not condition():
            for name, process in self.running.items():
                assert process.poll() is None, f"{name} ended:\n{self.hosts_log(name)}"
            logs = "\n".join(f"{name}: {self.hosts_log(name)[-1500:]}" for name in self.running)
            assert time.monotonic() < give_up_at, f"{what}\n{logs}"
            time.sleep(0.1)

    def hosts_log(self, name: str) -> str:
        return self.hosts["content" if name == "rabbitmq" else name].log(name)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # The services' users must reach their files, and pytest's folders are for their owner alone.
    folder = Path(tempfile.mkdtemp(prefix="gatepost-hosts-"))
    folder.chmod(0o755)
    switch = Switch("10.213.77")
    clamd = None
    try:
        hosts = {
            name: InstalledHost(switch, f"{name}.gatepost.test", number, folder) for name, number in NUMBERS.items()
        }
        clamd = _clamd(folder, hosts["content"].root / "run/clamav/clamd.ctl")
        _install(hosts)
        outside = switch.namespace("outside")
        authority = hosts["content"].root / "etc/gatepost/ca"
        opened = Site(hosts, {}, outside, switch.plug(outside, SINK), Authority(authority))
        _open(opened)
        yield opened
    finally:
        if clamd is not None:
            clamd.kill()
        switch.close()
        shutil.rmtree(folder)


def _clamd(folder: Path, path: Path) -> Clamd:
    (port,) = free_ports(1)
    (folder / "clamd").mkdir()
    # clamd becomes a user of its own.
    path.parent.chmod(0o777)
    clamd = Clamd(ClamdSettings(port=port, database=folder / "clamd", log=folder / "clamd.log", socket=path))
    clamd.start()
    clamd.wait_ready()
    return clamd


def _install(hosts: dict[str, InstalledHost]) -> None:
    broker = hosts["content"]
    for host in hosts.values():
        host.know({other.name: other.address for other in hosts.values()})
    broker.install("broker content", broker=broker.name)
    (broker.root / "etc/gatepost/test.zone").write_text(ZONE)
    (broker.root / "etc/gatepost/test.zone").chmod(0o644)
    (broker.root / "etc/gatepost/content.env").write_text(CONTENT_ENV)
    for name, host in hosts.items():
        if host is not broker:
            host.take_programs_of(broker)
            bundle = f"var/lib/{host.name}.tar"
            broker.gatepost("topology", "ca", "issue", host.name, "--service", name, "--output", f"/{bundle}")
            host.install(name, bundle=str(broker.root / bundle))


def _open(site: Site) -> None:
    broker, console = site.hosts["content"], site.hosts["console"]
    site.running["rabbitmq"] = broker.start_rabbitmq()
    # The listener opens last.
    site.until(lambda: _takes(broker, "127.0.0.1", 5672), "RabbitMQ does not come up")
    settings = "/etc/gatepost/installer.toml"
    said = broker.gatepost("topology", "apply", GATEPOST_SETTINGS_FILE=settings)
    assert "as this version wants it" in said
    site.running["console"] = console.start("console")
    site.until(lambda: site.ready("console") == 200, "the console does not get ready")
    policy = console.root / "etc/gatepost/policy.toml"
    policy.write_text(POLICY.format(sink=site.sink))
    console.gatepost("policy", "apply", "/etc/gatepost/policy.toml", "--reason", "the first")
    for name in ("delivery", "content", "edge"):
        site.running[name] = site.hosts[name].start(name)
    for name in NUMBERS:
        site.until(lambda name=name: site.ready(name) == 200, f"{name} does not get ready")  # type: ignore[misc]


def _takes(host: InstalledHost, address: str, port: int) -> bool:
    with host.network(), contextlib.suppress(OSError), socket.create_connection((address, port), 5):
        return True
    return False


@pytest.fixture
async def sink(site: Site) -> AsyncIterator[NextHop]:
    server = NextHop(address=site.sink, port=2525)
    with in_namespace(site.outside):
        await server.__aenter__()
    try:
        yield server
    finally:
        await server.__aexit__()


def _send(site: Site) -> None:
    with in_namespace(site.outside):
        client = smtplib.SMTP(site.hosts["edge"].address, 25, timeout=60)
    with client:
        client.ehlo("client.sender.test")
        client.starttls(context=ssl._create_unverified_context())
        client.sendmail("a@sender.test", ["demo@sink.test"], MESSAGE)


async def test_mail_passes_from_host_to_host(site: Site, sink: NextHop) -> None:
    try:
        await asyncio.to_thread(_send, site)
    except smtplib.SMTPException as error:
        said = str(error).rpartition("[")[2].partition("]")[0]
        site.until(lambda: site.ready("console") == 200, "the console is away")
        pytest.fail(f"{error}\n{site.hosts['console'].gatepost('trace', said)}")
    async with asyncio.timeout(60):
        await sink.until(lambda: len(sink.mails) == 1)
    assert b"Subject: over three hosts" in sink.mails[0].message
    assert sink.mails[0].rcpts == ["RCPT TO:<demo@sink.test>"]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_service_is_its_own_user_with_no_right_but_edges_to_low_ports(site: Site, name: str) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{site.running[name].pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    owner = site.settings(name).stat()
    assert {int(uid) for uid in status["Uid"].split()} == {owner.st_uid} != {0}
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == (1 << 10 if name == "edge" else 0)
    assert owner.st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ("edge", "delivery", "console"))
def test_stages_reach_the_broker_by_amqps_alone(site: Site, name: str) -> None:
    broker = tomllib.loads(site.settings(name).read_text())["broker"]
    assert (broker["tls"], broker["port"], broker["host"]) == (True, 5671, "content.gatepost.test")
    address = site.hosts["content"].address
    assert _takes(site.hosts[name], address, 5671)
    # AMQP and RabbitMQ's console in the clear, Erlang's ports, and other services' metrics.
    for port in (5672, 15672, 4369, 25672, 9102):
        assert not _takes(site.hosts[name], address, port), port


def test_rabbitmqs_console_speaks_tls_with_a_certificate_of_our_authority(site: Site) -> None:
    management = tomllib.loads(site.settings("console").read_text())["management"]
    assert management["url"] == "https://content.gatepost.test:15671"
    ours = ssl.create_default_context(cadata=site.authority.certificate_pem.decode())
    assert _whoami(site, ours, management["user"], management["password"]).startswith(b"HTTP/1.1 200")
    assert _whoami(site, ours, "guest", "guest").startswith(b"HTTP/1.1 401")
    with pytest.raises(ssl.SSLCertVerificationError):
        _whoami(site, ssl.create_default_context(), "guest", "guest")
    # In the clear there is nothing on that port.
    with site.hosts["console"].network(), socket.create_connection((site.hosts["content"].address, 15671), 10) as plain:
        plain.sendall(b"GET /api/whoami HTTP/1.1\r\nHost: content.gatepost.test\r\n\r\n")
        plain.settimeout(20)
        assert b" 200 " not in _all_of(plain)


def _whoami(site: Site, context: ssl.SSLContext, user: str, password: str) -> bytes:
    """Ask RabbitMQ's console from the host of ours who we are to it."""
    proof = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = f"GET /api/whoami HTTP/1.1\r\nHost: content.gatepost.test\r\nAuthorization: Basic {proof}\r\n"
    with (
        site.hosts["console"].network(),
        socket.create_connection((site.hosts["content"].address, 15671), 20) as plain,
        context.wrap_socket(plain, server_hostname="content.gatepost.test") as connection,
    ):
        connection.sendall(f"{request}Connection: close\r\n\r\n".encode())
        return _all_of(connection)


def test_amqps_takes_nobody_without_tls(site: Site) -> None:
    with site.hosts["edge"].network(), socket.create_connection((site.hosts["content"].address, 5671), 10) as plain:
        plain.sendall(b"AMQP\x00\x00\x09\x01")
        plain.settimeout(20)
        # A TLS alert at most.
        assert b"RabbitMQ" not in _all_of(plain)


def _all_of(connection: socket.socket) -> bytes:
    heard = b""
    with contextlib.suppress(OSError):
        while piece := connection.recv(4096):
            heard += piece
    return heard


@pytest.mark.parametrize("whose", ("none", "another authority's", "ours"))
def test_amqps_takes_nobody_without_a_certificate_of_ours(site: Site, tmp_path: Path, whose: str) -> None:
    context = ssl.create_default_context(cadata=site.authority.certificate_pem.decode())
    if whose != "none":
        signer = site.authority if whose == "ours" else Authority(tmp_path)
        for file, content in zip(("c.pem", "k.pem"), signer.host_certificate("probe", ("probe.test",)), strict=True):
            (tmp_path / file).write_bytes(content)
        context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    heard = b""
    with site.hosts["edge"].network(), contextlib.suppress(OSError):
        plain = socket.create_connection((site.hosts["content"].address, 5671), 10)
        with context.wrap_socket(plain, server_hostname="content.gatepost.test") as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            heard = connection.recv(4096)
    # The broker's first frame tells what it is.
    assert (b"RabbitMQ" in heard) == (whose == "ours")


def test_a_stage_with_a_wrong_certificate_gets_no_connection(site: Site, tmp_path: Path) -> None:
    folder = site.hosts["delivery"].root / "etc/gatepost/delivery"
    kept = {name: (folder / name).read_bytes() for name in ("certificate.pem", "key.pem")}
    wrong = dict(zip(kept, Authority(tmp_path).host_certificate("delivery", ("delivery.gatepost.test",)), strict=True))
    before = len(site.hosts_log("delivery"))
    try:
        for name, content in wrong.items():
            (folder / name).write_bytes(content)
        site.restart("delivery")
        site.until(lambda: site.hosts_log("delivery").count("broker-unreachable", before) >= 3, "it was let in")
        assert "broker-connected" not in site.hosts_log("delivery")[before:]
        assert site.ready("delivery") == 503
    finally:
        for name, content in kept.items():
            (folder / name).write_bytes(content)
    site.restart("delivery")
    site.until(lambda: site.ready("delivery") == 200, "with its own certificate it is not let in again")


def test_a_stage_whose_broker_shows_another_names_certificate_does_not_speak_to_it(site: Site) -> None:
    hosts = site.hosts["delivery"].root / "etc/hosts"
    text = hosts.read_text()
    before = len(site.hosts_log("delivery"))
    settings = site.settings("delivery")
    told = settings.read_text()
    try:
        hosts.write_text(text + f"{site.hosts['content'].address} other.gatepost.test\n")
        settings.write_text(told.replace('host = "content.gatepost.test"', 'host = "other.gatepost.test"'))
        site.restart("delivery")
        site.until(
            lambda: site.hosts_log("delivery").count("CERTIFICATE_VERIFY_FAILED", before) >= 2, "it was believed"
        )
        assert "broker-connected" not in site.hosts_log("delivery")[before:]
    finally:
        settings.write_text(told)
        hosts.write_text(text)
    site.restart("delivery")
    site.until(lambda: site.ready("delivery") == 200, "it does not come back")


def test_a_stage_whose_settings_lack_tls_does_not_start(site: Site) -> None:
    host, settings = site.hosts["edge"], site.settings("edge")
    told = settings.read_text()
    without = [line for line in told.splitlines() if not line.startswith(("tls", "ca_file"))]
    without = [line for line in without if "/edge/certificate.pem" not in line and "/edge/key.pem" not in line]
    before = len(host.log("edge"))
    try:
        settings.write_text("\n".join(without))
        assert host.start("edge").wait(60) != 0
    finally:
        settings.write_text(told)
    assert "in the clear" in host.log("edge")[before:]


def test_the_same_command_again_keeps_settings_and_renews_what_is_ours(site: Site) -> None:
    host = site.hosts["console"]
    before = site.settings("console").read_bytes()
    unit = host.root / "etc/systemd/system/gatepost-console.service"
    whole = unit.read_bytes()
    unit.write_bytes(b"[Service]\n")
    said = host.install("")
    assert "wrote" not in said
    assert site.settings("console").read_bytes() == before
    assert unit.read_bytes() == whole
    assert not (host.root / "etc/gatepost/edge.toml").exists()


def test_systemd_finds_no_fault_with_the_installed_units(site: Site) -> None:
    for name, host in site.hosts.items():
        assert (
            host.root_runs("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/gatepost-{name}.service")
            == ""
        )


def test_a_broker_that_knew_a_guest_knows_our_administrator_alone(site: Site) -> None:
    host = site.hosts["content"]
    listed = ("rabbitmqctl", "-q", "list_users")
    host.root_runs("rabbitmqctl", "-q", "add_user", "guest", "guest")
    host.root_runs("rabbitmqctl", "-q", "delete_user", "gatepost-admin")
    password = tomllib.loads((host.root / "etc/gatepost/installer.toml").read_text())["admin"]["password"]
    code = "from infra.systemd import rabbitmq, host; import pathlib, sys; "
    code += "rabbitmq.admit_administrator(host.Host(pathlib.Path('/')), sys.argv[1])"
    host.root_runs("/opt/gatepost/bin/python", "-c", code, password, PYTHONPATH=str(host.source))
    users = {line.split("\t")[0]: line.split("\t")[1] for line in host.root_runs(*listed).splitlines()[1:]}
    assert "guest" not in users
    assert users["gatepost-admin"] == "[administrator]"
    assert "as this version" in host.gatepost(
        "topology", "apply", GATEPOST_SETTINGS_FILE="/etc/gatepost/installer.toml"
    )


def test_the_doctor_of_the_console_sees_how_long_the_certificates_last(site: Site) -> None:
    assert "certificate.pem" in site.hosts["console"].doctor()


def _shown(site: Site) -> bytes:
    """Return the certificate that edge shows."""
    with in_namespace(site.outside):
        client = smtplib.SMTP(site.hosts["edge"].address, 25, timeout=60)
    with client:
        client.starttls(context=ssl._create_unverified_context())
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert(binary_form=True) or b""


def test_the_hook_gives_a_renewed_certificate_to_edge_which_shows_it(site: Site, tmp_path: Path) -> None:
    host = site.hosts["edge"]
    lineage = host.root / "var/lib/lineage"
    lineage.mkdir()
    pair = Authority(tmp_path).server_certificate("mx", ("edge.gatepost.test",))
    for name, content in zip(("fullchain.pem", "privkey.pem"), pair, strict=True):
        (lineage / name).write_bytes(content)
    wanted = load_pem_x509_certificates(pair[0])[0].public_bytes(Encoding.DER)
    assert _shown(site) != wanted
    host.root_runs("env", "RENEWED_LINEAGE=/var/lib/lineage", "/opt/gatepost/share/gatepost/certificate-hook")
    site.until(lambda: _shown(site) == wanted, "edge does not take the renewed certificate")
