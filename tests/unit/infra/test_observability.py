"""Rules and dashboard name what our services really count, and the services count within bounds."""

import importlib
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from shared.broker.topology import QUEUES
from tests.unit.infra.promql import NotPromQL, read

ROOT = Path(__file__).resolve().parents[3]
# Of Prometheus itself, and of every target.
OWN_LABELS = {"job", "instance"}
# Labels whose values are not ours alone to choose; each is bounded elsewhere.
OPEN_LABELS = {"zone", "listener", "file", "daemon", "server", "node", "queue", "version"}
Document = dict[str, Any]


@cache
def metrics() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return type and labels of every metric that a module of ours makes, by name without its suffixes."""
    for folder in ("services", "shared"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "prometheus_client import" in path.read_text(encoding="utf-8"):
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found = {one for one in REGISTRY._collector_to_names if isinstance(one, MetricWrapperBase)}
    return {one._name: (str(one._type), tuple(one._labelnames)) for one in found if one._name.startswith("gatepost_")}


def labels_of(name: str) -> set[str] | None:
    """Return the labels of a time series, or None if no metric of ours has it."""
    if name == "up":
        return OWN_LABELS
    for suffix, kinds, more in (
        ("_total", {"counter"}, set()),
        ("_bucket", {"histogram"}, {"le"}),
        ("_sum", {"histogram"}, set()),
        ("_count", {"histogram"}, set()),
        ("", {"gauge"}, set()),
    ):
        kind, labels = metrics().get(name.removesuffix(suffix) if suffix else name, ("", ()))
        if name.endswith(suffix) and kind in kinds:
            return {*labels, *more, *OWN_LABELS}
    return None


def rules() -> list[Document]:
    document = yaml.safe_load((ROOT / "infra/prometheus/alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> Document:
    found: Document = json.loads((ROOT / "infra/grafana/dashboards/gatepost.json").read_text(encoding="utf-8"))
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_and_label_in_rules_and_dashboard_exists(where: str, expression: str) -> None:
    named = read(expression)
    assert named.metrics, where
    known: set[str] = set()
    for metric, chosen in named.metrics:
        labels = labels_of(metric)
        assert labels is not None, f"{where}: no metric {metric}"
        assert chosen <= labels, f"{where}: {metric} has no {chosen - labels}"
        known |= labels
    assert named.grouped <= known, f"{where}: no {named.grouped - known}"


@pytest.mark.parametrize("text", ["sum(x", "rate(x[5 m])", "x{a='b'}", "nothing(x)", "x y", "max by (a b) (x)"])
def test_what_is_no_expression_is_told(text: str) -> None:
    with pytest.raises(NotPromQL):
        read(text)


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        assert len(rule["annotations"]["summary"]) > 10
        assert rule["annotations"]["description"].endswith(".")
        # What a text quotes of labels must be left over by the expression.
        quoted = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        named = read(rule["expr"])
        left = named.grouped or {label for name, _ in named.metrics for label in labels_of(name) or ()}
        assert quoted <= left, rule["alert"]


def test_queues_in_rules_are_those_of_the_topology() -> None:
    known = {spec.name for spec in QUEUES}
    for rule in rules():
        for pattern in re.findall(r'queue=~"([^"]+)"', rule["expr"]):
            prefix, _, inner = pattern.replace("\\\\", "\\").partition("(")
            wanted = {f"{prefix}{one}".replace("\\", "") for one in inner.rstrip(")").split("|")}
            assert wanted <= known


def test_names_follow_the_conventions_of_prometheus() -> None:
    # Units stand at the end of a name, and are base units.
    for name, (kind, _) in metrics().items():
        assert re.fullmatch(r"gatepost_[a-z0-9_]+", name)
        assert not re.search(r"_(ms|milliseconds|minutes|mb|kb|percent|count|gauge)\Z", name), name
        if kind == "histogram":
            assert name.endswith(("_seconds", "_bytes")), name


def test_no_label_may_have_values_without_end() -> None:
    # Never an address, a domain, a login or an id: those belong in the trace.
    forbidden = {"id", "address", "ip", "client", "domain", "sender", "recipient", "login", "account", "hop", "host"}
    for name, (_, labels) in metrics().items():
        assert not forbidden & set(labels), name
        assert len(set(labels) - OPEN_LABELS) <= 2, name


def test_the_dashboard_shows_each_stage_and_lies_where_compose_mounts_it() -> None:
    board = dashboard()
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert rows == ["Now", "Pipeline", "Latency", "Queues", "Engines", "Delivery"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["description"] for panel in board["panels"] if panel["type"] != "row")
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    grafana, prometheus = compose["services"]["grafana"], compose["services"]["prometheus"]
    assert "./infra/grafana/dashboards:/etc/gatepost/dashboards:ro" in grafana["volumes"]
    assert "./infra/prometheus:/etc/prometheus:ro" in prometheus["volumes"]
    for service in (grafana, prometheus):
        assert service["profiles"] == ["observe"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_prometheus_asks_the_ports_that_the_containers_settings_name() -> None:
    config = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    for job in config["scrape_configs"]:
        (discovery,) = job["dns_sd_configs"]
        (service,) = discovery["names"]
        assert job["job_name"] == f"gatepost-{service}"
        settings = tomllib.loads((ROOT / f"infra/docker/settings/{service}.toml").read_text(encoding="utf-8"))
        assert discovery["port"] == settings["health"]["port"]
        assert settings["health"]["address"] == "0.0.0.0"
