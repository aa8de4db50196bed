"""The end of `make run`: nothing of it is left, whoever ends it."""

import signal
from pathlib import Path

import pytest

from infra.local.ports import is_listening
from infra.local.rabbitmq import NodeSettings
from shared.settings import load_settings
from tests.e2e.gateway import Gateway, wait_until


def ports(gateway: Gateway) -> list[int]:
    node = load_settings(NodeSettings, gateway.layout.settings_file("rabbitmq"), {})
    return [node.amqp_port, node.management_port, node.dist_port, node.epmd_port, gateway.port]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it_with_exit_0(tmp_path: Path, number: int) -> None:
    gateway = Gateway(tmp_path)
    gateway.start()
    assert len(gateway.processes()) > 7
    assert gateway.stop(number) == 0
    assert gateway.processes() == {}
    assert not any(map(is_listening, ports(gateway)))


def test_even_a_killed_runner_leaves_nothing_behind_and_the_next_start_keeps_the_policy(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.start()
    gateway.kill()
    wait_until(lambda: gateway.processes() == {}, 60)
    policy = tmp_path / "policy.toml"
    policy.write_text(gateway.layout.policy_file.read_text() + "\n# changed\n")
    gateway.environment["GATEPOST_POLICY"] = str(policy)
    gateway.start()
    try:
        assert "Policy version 1 is in force" in gateway.output
        assert f"gatepost policy apply {policy}" in gateway.output
    finally:
        assert gateway.stop() == 0
