"""The end of `make run`: nothing of it is left, whoever ends it. (SIGTERM: at the end of the fixture `gateway`.)"""

import signal
from pathlib import Path

from tests.e2e.gateway import Gateway, wait_until


def test_neither_kill_nor_ctrl_c_leaves_anything_and_the_next_start_keeps_the_policy(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.start()
    assert len(gateway.processes()) > 7
    gateway.kill()
    wait_until(lambda: gateway.processes() == {}, 60)
    policy = tmp_path / "policy.toml"
    policy.write_text(gateway.layout.policy_file.read_text() + "\n# changed\n")
    gateway.environment["GATEPOST_POLICY"] = str(policy)
    gateway.start()
    assert "Policy version 1 is in force" in gateway.output
    assert f"gatepost policy apply {policy}" in gateway.output
    gateway.end_and_look(signal.SIGINT)
