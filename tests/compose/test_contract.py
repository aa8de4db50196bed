"""The contract tests on RabbitMQ 4.0, beside the 3.10 that they meet elsewhere."""

import pytest

from tests.compose.containers import ROOT, run_engine

pytestmark = [pytest.mark.compose, pytest.mark.slow, pytest.mark.timeout(900)]


def test_contract_tests_pass_on_rabbitmq_4_0() -> None:
    image = "gatepost-test/contract"
    version = run_engine("run", "--rm", image, "dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server")
    assert version.startswith("4.")
    print(run_engine("run", "--rm", "--network", "none", "-v", f"{ROOT}:/src:ro", image, timeout_s=800))
