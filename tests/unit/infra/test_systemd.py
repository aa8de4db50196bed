"""The systemd units: what each service may do, and how it is kept running."""

from collections import defaultdict
from pathlib import Path

import pytest

from infra.local.layout import REPOSITORY
from services.content.workers import STOP_S as CONTENT_STOP_S
from services.edge.settings import EdgeSettings
from services.edge.workers import STOP_S as EDGE_STOP_S

FOLDER = REPOSITORY / "infra" / "systemd"
SERVICES = ("edge", "content", "delivery", "console")
Unit = dict[str, list[str]]


def read(path: Path) -> dict[str, Unit]:
    """Return the sections of a unit file; a key may stand there several times."""
    sections: dict[str, Unit] = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            unit = sections.setdefault(line.strip("[]"), defaultdict(list))
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            unit[key].append(value)
    return sections


def service(name: str) -> Unit:
    """Return a service's section with the sandbox laid over it, as systemd does."""
    unit = read(FOLDER / f"gatepost-{name}.service")["Service"]
    for key, values in read(FOLDER / "gatepost-.service.d" / "sandbox.conf")["Service"].items():
        unit[key] = unit[key] + values
    return unit


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_user_of_its_own(name: str) -> None:
    assert service(name)["User"] == service(name)["Group"] == [f"gatepost-{name}"]
    assert f"u gatepost-{name} " in (FOLDER / "gatepost.sysusers.conf").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_in_the_sandbox(name: str) -> None:
    unit = service(name)
    for key in (
        *("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernelModules", "LockPersonality"),
        *("ProtectKernelTunables", "ProtectControlGroups", "RestrictSUIDSGID", "RestrictNamespaces"),
        "MemoryDenyWriteExecute",
    ):
        assert unit[key] == ["yes"], key
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["SystemCallFilter"] == ["@system-service", "~@privileged"]
    assert set(unit["RestrictAddressFamilies"][0].split()) == {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"}
    assert unit["LimitCORE"] == ["0"]


def test_only_edge_has_a_right_of_roots_and_it_is_to_bind_low_ports() -> None:
    assert (
        service("edge")["CapabilityBoundingSet"] == service("edge")["AmbientCapabilities"] == ["CAP_NET_BIND_SERVICE"]
    )
    for name in SERVICES[1:]:
        assert service(name)["CapabilityBoundingSet"] == [""]
        assert "AmbientCapabilities" not in service(name)


@pytest.mark.parametrize("name", SERVICES)
def test_whatever_ends_is_started_again_for_ever(name: str) -> None:
    assert service(name)["Restart"] == ["always"]
    assert read(FOLDER / f"gatepost-{name}.service")["Unit"]["StartLimitIntervalSec"] == ["0"]


def test_there_is_time_to_drain_before_systemd_kills() -> None:
    drain_s = EdgeSettings.model_fields["drain_timeout_s"].default
    assert int(service("edge")["TimeoutStopSec"][0]) > drain_s + EDGE_STOP_S
    assert int(service("content")["TimeoutStopSec"][0]) > CONTENT_STOP_S


def test_the_edge_reads_its_certificates_again_on_reload_and_may_have_many_connections() -> None:
    assert service("edge")["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service("edge")["LimitNOFILE"] == ["65536"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_starts_a_service_that_exists_with_its_own_settings(name: str) -> None:
    unit = service(name)
    module = unit["ExecStart"][0].rpartition(" -m ")[2]
    assert (REPOSITORY / module.replace(".", "/") / "__main__.py").exists()
    assert f"GATEPOST_SETTINGS_FILE=/etc/gatepost/{name}.toml" in unit["Environment"]
    assert module == f"services.{name}"


def test_the_target_has_all_services_and_stopping_it_stops_them() -> None:
    target = read(FOLDER / "gatepost.target")["Unit"]
    assert set(target["Wants"][0].split()) == {f"gatepost-{name}.service" for name in SERVICES}
    for name in SERVICES:
        assert read(FOLDER / f"gatepost-{name}.service")["Unit"]["PartOf"] == ["gatepost.target"]


def test_the_console_answers_to_the_name_it_had_as_the_recorder_alone() -> None:
    assert read(FOLDER / "gatepost-console.service")["Install"]["Alias"] == ["gatepost-recorder.service"]
