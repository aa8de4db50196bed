"""The end of `make run`: nothing of it is left, whoever ends it. (Ctrl-C: at the end of the fixture `gateway`.)"""

import json
import signal
from pathlib import Path

from tests.e2e.gateway import Gateway, wait_until


def test_a_kill_leaves_nothing_and_the_next_start_keeps_the_policy(gateway: Gateway, tmp_path: Path) -> None:
    assert len(gateway.processes()) > 7
    version = json.loads(gateway.gatepost("policy", "history", "--json").stdout)[0]["version"]
    gateway.kill()
    wait_until(lambda: gateway.processes() == {}, 60)
    policy = tmp_path / "policy.toml"
    policy.write_text(gateway.layout.policy_file.read_text() + "\n# changed\n")
    gateway.environment["GATEPOST_POLICY"] = str(policy)
    gateway.start()
    assert f"Policy version {version} is in force" in gateway.output
    assert f"gatepost policy apply {policy}" in gateway.output


def test_told_to_end_before_it_is_up_it_leaves_nothing_either(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.begin()
    wait_until(lambda: "Starting the gateway" in gateway.output, 60)
    gateway.end_and_look(signal.SIGTERM)
