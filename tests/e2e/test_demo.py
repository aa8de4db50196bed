"""What a newcomer does first: `make run`, then `make demo`, as often as he likes."""

import os
import stat
import subprocess
import sys

from infra.local.ports import is_listening
from tests.e2e.gateway import Gateway


def test_the_gateway_comes_up_and_tells_where_everything_is(gateway: Gateway) -> None:
    for word in ("swaks --server 127.0.0.1:", "RabbitMQ console", "password", str(gateway.layout.mail)):
        assert word in gateway.output


def test_it_says_plainly_that_only_eicar_is_known_without_a_database(gateway: Gateway) -> None:
    assert "EICAR test file ALONE" in gateway.output


def test_the_demo_passes_twice_running(gateway: Gateway) -> None:
    for _ in range(2):
        played = gateway.demo()
        assert played.returncode == 0, played.stdout + played.stderr
        assert "8 of 8 as they should be" in played.stdout


def test_secrets_are_for_their_owner_alone(gateway: Gateway) -> None:
    layout = gateway.layout
    for path in (*layout.settings.iterdir(), layout.tls / "key.pem", layout.dkim_key):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_doctor_finds_nothing_wrong(gateway: Gateway) -> None:
    examined = gateway.gatepost_process("doctor")
    # DNS of the outside is the one thing that a test machine may lack.
    wrong = [line for line in examined.stdout.splitlines() if line.startswith("XX ") and " dns" not in line.lower()]
    assert wrong == [], examined.stdout


def test_a_second_gateway_on_the_same_ports_is_refused_with_the_way_out(gateway: Gateway) -> None:
    command = [sys.executable, "-m", "infra.local.run"]
    environment = {**os.environ, **gateway.environment}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "GATEPOST_SETTINGS" in run.stderr
    assert is_listening(gateway.port)
