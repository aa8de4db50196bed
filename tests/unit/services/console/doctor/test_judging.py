"""How the doctor judges clocks, RabbitMQ's bounds, ports and versions."""

import pytest

from services.console.doctor import agreement, clocks, node
from services.console.doctor.beside import Socket
from services.console.doctor.finding import Finding, Level, is_well
from services.console.doctor.ports import conflicts
from services.console.pulse.facts import Node, Readiness
from shared.build import VERSION

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("ahead_s", "level"),
    [(0.4, Level.GOOD), (-2.9, Level.GOOD), (9, Level.WARNING), (-40, Level.WRONG)],
)
def test_a_clock_is_judged_by_its_distance(ahead_s: float, level: Level) -> None:
    assert clocks.judge("the broker", ahead_s).level is level


@pytest.mark.parametrize(
    ("running", "alarm", "free", "limit", "levels"),
    [
        (True, False, 90 * GB, 2 * GB, [Level.GOOD]),
        (True, False, 3 * GB, 2 * GB, [Level.WARNING]),
        (True, True, 1 * GB, 2 * GB, [Level.WRONG]),
        (True, False, 90 * GB, 50_000_000, [Level.WARNING]),
        (False, False, 0, 0, [Level.WRONG]),
    ],
)
def test_a_node_is_judged_by_what_it_has_left(
    running: bool, alarm: bool, free: int, limit: int, levels: list[Level]
) -> None:
    found = node.judge(Node("rabbit@a", running, False, alarm, 1, 2, free, limit))
    assert [finding.level for finding in found] == levels


def test_two_services_that_want_one_port_are_told() -> None:
    sockets = [
        Socket("console", "health", "127.0.0.1", 9104),
        Socket("edge", "health", "0.0.0.0", 9104),
        Socket("content", "health", "127.0.0.2", 9104),
        Socket("delivery", "health", "127.0.0.1", 9103),
    ]
    assert [finding.text for finding in conflicts(sockets)] == [
        "edge and console both want 0.0.0.0:9104",
        "content and edge both want 127.0.0.2:9104",
    ]


def test_other_versions_of_a_service_are_a_warning_and_silence_is_none() -> None:
    assert agreement.judge_builds({}).level is Level.ASIDE
    assert agreement.judge_builds({"edge": frozenset({VERSION})}).level is Level.GOOD
    found = agreement.judge_builds({"edge": frozenset({VERSION, "0.0.9"}), "content": frozenset({VERSION})})
    assert (found.level, "edge is 0.0.9 and" in found.text) == (Level.WARNING, True)


def test_services_that_run_different_policies_are_wrong() -> None:
    def one(service: str, version: int | None) -> Readiness:
        return Readiness(service, "", True, "ready", version)

    assert agreement.judge_policies((one("edge", 3), one("content", 3), one("recorder", None))) == []
    (found,) = agreement.judge_policies((one("edge", 3), one("content", 4)))
    assert (found.level, "edge 3, content 4" in found.text) == (Level.WRONG, True)
    refusing = Readiness("content", "u", ready=True, said="", policy_version=3, policy_refused=4)
    (found,) = agreement.judge_policies((one("edge", 4), refusing))
    assert (found.level, found.text) == (Level.WRONG, "content could not use version 4, and goes on with 3")


def test_warnings_and_what_was_not_looked_at_are_no_faults() -> None:
    assert is_well([Finding(Level.WARNING, "", ""), Finding(Level.ASIDE, "", ""), Finding(Level.GOOD, "", "")])
    assert not is_well([Finding(Level.WRONG, "", "")])
