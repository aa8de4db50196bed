"""How the containers stand: healthy, without root, closed, each with its own secrets."""

import json
import re
import ssl
import urllib.error
import urllib.request

import pytest

from tests.compose.conftest import SCALE
from tests.compose.containers import Containers

pytestmark = [pytest.mark.compose, pytest.mark.slow, pytest.mark.timeout(600)]

LASTING = ("haproxy", "edge", "content", "delivery", "console", "rabbitmq", "clamav", "rspamd", "redis", "postgres")
ONE_SHOTS = ("secrets", "installer")
PUBLISHED = {
    "haproxy": {"2525/tcp", "2587/tcp", "2465/tcp"},
    "rabbitmq": {"15671/tcp"},
    "console": {"8443/tcp"},
}


def test_every_container_becomes_healthy(gateway: Containers) -> None:
    gateway.wait_healthy(*LASTING)
    assert [len(gateway.of(stage)) for stage in ("edge", "content", "delivery")] == [2, 2, 2]


def test_one_shots_end_well(gateway: Containers) -> None:
    for service in ONE_SHOTS:
        (container,) = gateway.of(service, running=False)
        assert gateway.engine("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container).strip() == "exited 0"


def test_nothing_is_published_but_smtp_and_the_consoles_on_loopback(gateway: Containers) -> None:
    for service in LASTING:
        for container in gateway.of(service):
            shown = json.loads(gateway.engine("inspect", "-f", "{{json .NetworkSettings.Ports}}", container))
            published = {port: hosts for port, hosts in shown.items() if hosts}
            assert set(published) == PUBLISHED.get(service, set()), service
            assert all(host["HostIp"] == "127.0.0.1" for hosts in published.values() for host in hosts)


def test_no_lasting_container_has_root_or_a_writable_root(gateway: Containers) -> None:
    for service in LASTING:
        for container in gateway.of(service):
            shown = gateway.engine(
                "inspect",
                "-f",
                "{{.HostConfig.ReadonlyRootfs}} {{json .HostConfig.CapDrop}} {{json .HostConfig.CapAdd}} {{.HostConfig.SecurityOpt}}",
                container,
            )
            assert shown.split() == ["true", '["ALL"]', "null", "[no-new-privileges:true]"], service
            assert gateway.engine("exec", container, "sh", "-c", "id -u").strip() != "0", service


def test_secrets_are_for_their_container_alone(gateway: Containers) -> None:
    for service in ("edge", "content", "delivery", "console", "rabbitmq", "rspamd", "redis", "postgres"):
        container = gateway.of(service)[0]
        owner = gateway.engine("exec", container, "sh", "-c", "id -u").strip()
        shown = gateway.engine("exec", container, "sh", "-c", "stat -c '%u %a' /run/gatepost /run/gatepost/*")
        assert set(shown.splitlines()) == {f"{owner} 700", f"{owner} 400"}, service


def test_rabbitmq_console_speaks_tls_and_knows_no_guest(gateway: Containers) -> None:
    # The authority is the gateway's own; the certificate is for localhost, too.
    authority = gateway.engine("exec", gateway.of("rabbitmq")[0], "cat", "/run/gatepost/ca.pem")
    context = ssl.create_default_context(cadata=authority)
    request = urllib.request.Request(
        f"https://localhost:{gateway.ports.rabbitmq}/api/whoami", headers={"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="}
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=10, context=context)


def test_redis_asks_for_its_password(gateway: Containers) -> None:
    assert "NOAUTH" in gateway.engine("exec", gateway.of("redis")[0], "redis-cli", "ping")


def test_rspamd_may_not_change_redis_and_keeps_to_a_database_of_its_own(gateway: Containers) -> None:
    own = gateway.engine("exec", gateway.of("rspamd")[0], "cat", "/run/gatepost/redis.inc")
    found = re.search(r'password = "(\w+)"', own)
    assert found
    client = (
        "exec",
        "-e",
        f"REDISCLI_AUTH={found[1]}",
        gateway.of("redis")[0],
        "redis-cli",
        "--user",
        "rspamd",
        "-n",
        "1",
    )
    assert gateway.engine(*client, "ping").strip() == "PONG"
    for command in (("config", "get", "requirepass"), ("flushall",), ("acl", "list")):
        assert "NOPERM" in gateway.engine(*client, *command)


def test_the_console_may_teach_rspamd(gateway: Containers) -> None:
    program = (
        "import urllib.request as r;"
        "own = {'Password': open('/run/gatepost/rspamd-password').read()};"
        "print(r.urlopen(r.Request('http://rspamd:11334/stat', headers=own), timeout=5).status)"
    )
    gateway.wait_healthy("rspamd")
    assert gateway.engine("exec", gateway.of("console")[0], "python", "-c", program).strip() == "200"


def test_the_doctor_reaches_every_engine_from_the_installer(gateway: Containers) -> None:
    gateway.wait_healthy(*LASTING)
    shown = gateway.compose("run", "--rm", "-T", "installer", "sh", "-c", "gatepost doctor || true")
    for found in ("clamav:3310 answers", "rspamd:11333 answers"):
        assert found in shown


def test_up_again_keeps_secrets_and_containers(gateway: Containers) -> None:
    def state() -> list[object]:
        secret = gateway.engine("exec", gateway.of("edge")[0], "cat", "/run/gatepost/broker-password")
        return [secret, *(sorted(gateway.of(service)) for service in LASTING)]

    before = state()
    gateway.compose("up", "--detach", "--no-build", *SCALE)
    assert state() == before


def test_the_command_sees_every_service_and_queue(gateway: Containers) -> None:
    gateway.wait_healthy(*LASTING)
    shown = gateway.engine("exec", gateway.of("console")[0], "gatepost", "status")
    assert all(service in shown for service in ("edge", "content", "delivery", "recorder"))
    assert "not ready" not in shown
    assert "gatepost.content.suspect" in shown
