"""`make install` on a machine where systemd runs: services start, are shut in, take mail, reload, come back, and go."""

import http.client
import smtplib
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from infra.local.clamd import EICAR, SIGNATURE_NAME
from services.console.authority import Authority
from services.console.web.headers import HEADERS
from tests.e2e.systemd_host import SystemdHost, booted, why_not

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.skipif(bool(why_not()), reason=why_not())]

NAME = "mx.gatepost.test"
SERVICES = ("edge", "content", "delivery", "console")
UNITS = [f"gatepost-{service}" for service in SERVICES]
HEALTH = {"edge": 9101, "content": 9102, "delivery": 9103, "console": 9104}
# The exposure that systemd-analyze security still lets pass, in tenths.
EXPOSURE = 20
DOMAIN = """
[domains."here.test"]
recipients = ["demo"]
route = "maildir:mail"
"""
# What freshclam would bring: Debian's units start clamd when both names are there.
SIGNATURES = ("gatepost.ndb", "daily.inc", "main.inc")


@pytest.fixture(scope="module")
def host() -> Iterator[SystemdHost]:
    with tempfile.TemporaryDirectory(prefix="gatepost-systemd-") as folder, booted(Path(folder), NAME) as machine:
        print(machine.run("apt-get", "-q", "update"))
        print(install(machine, "SERVICES=all", f"GATEPOST_HOSTNAME={NAME}"))
        yield machine


def install(host: SystemdHost, *words: str) -> str:
    return host.run("make", "--no-print-directory", "-C", "/root/gatepost", "install", *words)


def shown(host: SystemdHost, unit: str, what: str) -> str:
    return host.run("systemctl", "show", "--value", f"--property={what}", unit).strip()


def is_ready(host: SystemdHost, service: str) -> bool:
    code = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{HEALTH[service]}/readyz', timeout=5)"
    return "yes" in host.says("sh", "-c", f'python3 -c "{code}" 2>/dev/null && echo yes')


def wait_ready(host: SystemdHost) -> None:
    for service in SERVICES:
        host.until(lambda service=service: is_ready(host, service), f"{service} does not get ready")  # type: ignore[misc]


def has_stopped_well(host: SystemdHost, unit: str) -> bool:
    return (shown(host, unit, "ActiveState"), shown(host, unit, "Result")) == ("inactive", "success")


def send(host: SystemdHost, body: str) -> None:
    with smtplib.SMTP(host.address, 25, timeout=60) as client:
        client.ehlo("client.sender.test")
        client.starttls(context=ssl._create_unverified_context())
        text = f"From: a@sender.test\r\nTo: demo@here.test\r\nSubject: {body[:20]}\r\nMessage-ID: <{body[:9]}@sender.test>\r\n"
        client.sendmail(
            "a@sender.test", ["demo@here.test"], f"{text}Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\n{body}\r\n"
        )


def has_arrived(host: SystemdHost, body: str) -> bool:
    return body in host.says("sh", "-c", "cat /var/lib/gatepost-delivery/mail/here.test/demo/new/*")


def test_every_unit_runs_and_none_has_failed(host: SystemdHost) -> None:
    for unit in (*UNITS, "gatepost.target", "rabbitmq-server", "rspamd", "gatepost-signatures.path"):
        assert host.run("systemctl", "is-active", unit).strip() == "active", unit
        assert host.run("systemctl", "is-enabled", unit).strip() == "enabled", unit
    assert host.run("systemctl", "list-units", "--failed", "--no-legend", "--plain") == ""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_a_user_of_its_own_whose_settings_are_its_alone(host: SystemdHost, service: str) -> None:
    user, pid = f"gatepost-{service}", shown(host, f"gatepost-{service}", "MainPID")
    assert host.run("stat", "-c", "%U %a", f"/etc/gatepost/{service}.toml").strip() == f"{user} 600"
    assert host.run("stat", "-c", "%U", f"/proc/{pid}").strip() == user
    status = dict(line.split(":\t", 1) for line in host.run("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == (1 << 10 if service == "edge" else 0)


@pytest.mark.parametrize("service", SERVICES)
def test_the_sandbox_holds(host: SystemdHost, service: str) -> None:
    pid = shown(host, f"gatepost-{service}", "MainPID")
    for path in ("/etc/gatepost/new", "/opt/gatepost/new", "/usr/new", "/var/lib/new", "/home/new"):
        # Not even root, seeing what the service sees.
        said = host.says("sh", "-c", f"nsenter --target {pid} --mount touch {path} 2>&1")
        assert "Read-only file system" in said or "Permission denied" in said, path
    host.run("systemd-analyze", "security", "--no-pager", f"--threshold={EXPOSURE}", f"gatepost-{service}")


def test_the_database_is_the_consoles_though_root_applied_the_topology(host: SystemdHost) -> None:
    host.until(lambda: "gatepost.db" in host.run("ls", "/var/lib/gatepost-console"), "there is no database")
    assert set(host.run("sh", "-c", "stat -c %U /var/lib/gatepost-console/*").split()) == {"gatepost-console"}
    host.until(lambda: is_ready(host, "console"), "the console does not get ready")


def test_clamd_starts_by_itself_once_its_first_signatures_are_there(host: SystemdHost) -> None:
    if "main" not in host.run("ls", "/var/lib/clamav"):
        assert "start clamd, once freshclam" in host.says("gatepost", "doctor")
        (host.root / "root" / SIGNATURES[0]).write_text(f"{SIGNATURE_NAME}:0:*:{EICAR.hex()}\n")
        for name in SIGNATURES:
            source = f"/root/{name}" if name == SIGNATURES[0] else "/dev/null"
            host.run("install", "-o", "clamav", "-m", "0644", source, f"/var/lib/clamav/{name}")
    host.until(
        lambda: "clamd: /run/clamav/clamd.ctl answers" in host.says("gatepost", "doctor"), "clamd is not started"
    )


def test_with_a_policy_all_get_ready_and_mail_passes_through_port_25(host: SystemdHost) -> None:
    policy = host.root / "etc/gatepost/policy.toml"
    policy.write_text(policy.read_text() + DOMAIN)
    host.run("gatepost", "policy", "apply", "/etc/gatepost/policy.toml", "--reason", "the first")
    wait_ready(host)
    send(host, "Pomegranates.")
    host.until(lambda: has_arrived(host, "Pomegranates."), "the mail does not arrive")
    with pytest.raises(smtplib.SMTPDataError, match="malware"):
        send(host, EICAR.decode())
    said = host.run("gatepost", "doctor")
    assert "All is well." in said
    # But for the console's own certificate there is nothing to mend either.
    assert [line for line in said.splitlines() if line.startswith("!!") and "signed by itself" not in line] == []


def test_from_outside_there_is_mail_and_the_console_over_tls_alone(host: SystemdHost) -> None:
    for port in (25, 465, 587, 8443):
        socket.create_connection((host.address, port), 5).close()
    for port in (5671, 5672, 15671, 15672, 4369, 25672, 11333, 11334, *HEALTH.values()):
        with pytest.raises(OSError):
            socket.create_connection((host.address, port), 5)
    console = http.client.HTTPSConnection(host.address, 8443, timeout=10, context=ssl._create_unverified_context())
    console.request("GET", "/login")
    answer = console.getresponse()
    assert answer.status == 200
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    console.close()


def test_a_reload_shows_a_renewed_certificate_and_ends_no_process(host: SystemdHost, tmp_path: Path) -> None:
    pair = Authority(tmp_path).server_certificate("mx", (NAME,))
    lineage = host.root / "root/lineage"
    lineage.mkdir()
    for name, content in zip(("fullchain.pem", "privkey.pem"), pair, strict=True):
        (lineage / name).write_bytes(content)
    pid = shown(host, "gatepost-edge", "MainPID")
    host.run("/opt/gatepost/share/gatepost/certificate-hook", "/root/lineage")
    host.run("systemctl", "reload", "gatepost-edge")
    wanted = load_pem_x509_certificates(pair[0])[0].public_bytes(Encoding.DER)

    def is_shown() -> bool:
        context = ssl._create_unverified_context()
        with socket.create_connection((host.address, 465), 10) as plain, context.wrap_socket(plain) as connection:
            return connection.getpeercert(binary_form=True) == wanted

    host.until(is_shown, "edge does not take the renewed certificate")
    assert shown(host, "gatepost-edge", "MainPID") == pid


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_dies_is_started_again(host: SystemdHost, service: str) -> None:
    unit = f"gatepost-{service}"
    pid = shown(host, unit, "MainPID")
    host.run("kill", "-KILL", pid)
    host.until(lambda: shown(host, unit, "MainPID") not in (pid, "0"), f"{service} is not started again")
    host.until(lambda: is_ready(host, service), f"{service} does not get ready again")


def test_stopping_the_target_drains_all_and_starting_it_brings_all_back(host: SystemdHost) -> None:
    host.run("systemctl", "stop", "gatepost.target")
    for unit in UNITS:
        # The target has stopped while its units still finish what they hold.
        host.until(lambda unit=unit: has_stopped_well(host, unit), f"{unit} does not stop well")  # type: ignore[misc]
    host.run("systemctl", "start", "gatepost.target")
    wait_ready(host)


def test_an_upgrade_keeps_settings_and_a_roll_back_brings_the_older_programs(host: SystemdHost) -> None:
    settings = host.run("sh", "-c", "sha256sum /etc/gatepost/*.toml")
    with (host.root / "root/gatepost/README.md").open("a") as readme:
        readme.write("\nA newer version.\n")
    stamp = "/opt/gatepost/share/gatepost/stamp"
    before = host.run("cat", stamp)
    said = install(host)
    assert "wrote" not in said
    assert host.run("cat", stamp) != before
    assert host.run("sh", "-c", "sha256sum /etc/gatepost/*.toml") == settings
    wait_ready(host)
    host.run("make", "-C", "/root/gatepost", "roll-back")
    assert host.run("cat", stamp) == before
    wait_ready(host)
    send(host, "Quinces.")
    host.until(lambda: has_arrived(host, "Quinces."), "the mail does not arrive")


def test_after_a_reboot_all_comes_up_by_itself(host: SystemdHost) -> None:
    host.reboot()
    wait_ready(host)
    send(host, "Medlars.")
    host.until(lambda: has_arrived(host, "Medlars."), "the mail does not arrive")


def test_uninstalling_leaves_settings_and_data_and_nothing_that_runs(host: SystemdHost) -> None:
    # As where content is on another host.
    host.run("systemctl", "disable", "--now", "gatepost-content.service", "gatepost-signatures.path")
    host.run("rm", "/etc/systemd/system/gatepost-content.service", "/etc/systemd/system/gatepost-signatures.path")
    host.run("systemctl", "daemon-reload")
    host.run("make", "-C", "/root/gatepost", "uninstall")
    assert "gatepost-" not in host.run("ps", "-eo", "user:32")
    units = host.says("systemctl", "list-unit-files", "--no-legend", "--plain", "gatepost*")
    assert units == ""
    assert host.says("ls", "/opt/gatepost") == ""
    for path in ("/etc/gatepost/edge.toml", "/var/lib/gatepost-console/gatepost.db", "/var/lib/gatepost-delivery/mail"):
        host.run("stat", path)
