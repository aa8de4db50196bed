"""Prometheus of the profile `observe`, beside the running gateway: it finds each process, and every rule works."""

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.compose.containers import METRICS_PORT, Containers
from tests.unit.infra.test_observability import dashboard, rules

pytestmark = [pytest.mark.compose, pytest.mark.slow, pytest.mark.timeout(600)]

PROCESSES = {"edge": 2, "content": 2, "delivery": 2, "console": 1}
# What Grafana puts in for its own words.
WORDS = {"$__rate_interval": "1m", "$__range": "1h", "$__interval": "1m"}


def ask(gateway: Containers, path: str, **query: str) -> Any:
    """Return what Prometheus answers. Raises URLError while it is not up, HTTPError for a query that it refuses."""
    url = f"http://127.0.0.1:{gateway.ports.prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.load(answer)
    assert found["status"] == "success"
    return found["data"]


@pytest.fixture(scope="module")
def observed(gateway: Containers) -> Containers:
    """The gateway with Prometheus, which has asked every process."""
    gateway.wait_healthy("haproxy", *PROCESSES)
    # Grafana, the other service of the profile, has no package in Debian, and so no stand-in.
    gateway.compose("--profile", "observe", "up", "--detach", "--no-build", "--no-recreate", "--no-deps", "prometheus")
    gateway.wait(lambda: _are_up(gateway) == PROCESSES, f"Prometheus to have asked {PROCESSES}")
    return gateway


def _are_up(gateway: Containers) -> dict[str, int]:
    try:
        targets = ask(gateway, "targets", state="active")["activeTargets"]
    except OSError:
        return {}
    up = [target["labels"]["job"].removeprefix("gatepost-") for target in targets if target["health"] == "up"]
    return {service: up.count(service) for service in METRICS_PORT}


def test_every_process_of_every_stage_is_asked_by_itself(observed: Containers) -> None:
    assert _are_up(observed) == PROCESSES
    assert [target for target in ask(observed, "targets")["activeTargets"] if target["health"] != "up"] == []


def test_every_rule_is_loaded_and_can_be_reckoned(observed: Containers) -> None:
    (container,) = observed.of("prometheus")
    assert "SUCCESS" in observed.engine("exec", container, "promtool", "check", "rules", "/etc/prometheus/alerts.yml")
    observed.engine("exec", container, "promtool", "check", "config", "/etc/prometheus/prometheus.yml")

    def loaded() -> list[dict[str, Any]]:
        return [rule for group in ask(observed, "rules")["groups"] for rule in group["rules"]]

    observed.wait(lambda: all(rule["health"] != "unknown" for rule in loaded()), "all rules to be reckoned")
    assert {rule["name"]: (rule["health"], rule.get("lastError")) for rule in loaded()} == {
        rule["alert"]: ("ok", None) for rule in rules()
    }


def test_no_alert_goes_off_while_all_is_well(observed: Containers) -> None:
    observed.wait_healthy("haproxy", *PROCESSES)
    observed.wait(lambda: ask(observed, "query", query='ALERTS{severity="critical"}')["result"] == [], "no alert", 240)


def test_prometheus_takes_every_question_of_the_dashboard(observed: Containers) -> None:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    for panel in panels:
        for target in panel["targets"]:
            expression = target["expr"]
            for word, text in WORDS.items():
                expression = expression.replace(word, text)
            assert "$" not in expression, expression
            ask(observed, "query", query=expression)


def test_a_process_that_is_gone_sets_an_alert_off(observed: Containers) -> None:
    victim = observed.of("delivery")[0]
    address = observed.engine("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", victim)
    # Stopped where it stands: its name still leads there, and it does not answer.
    observed.engine("pause", victim)
    try:
        query = 'ALERTS{alertname="GatepostServiceDown",job="gatepost-delivery"}'

        def told() -> list[str]:
            found = ask(observed, "query", query=query)["result"]
            return [alert["metric"]["instance"].rpartition(":")[0] for alert in found]

        observed.wait(lambda: bool(told()), "the alert", 120)
        assert set(told()) <= set(address.split())
    finally:
        observed.engine("unpause", victim)
    observed.wait_healthy("delivery")
