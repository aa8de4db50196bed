"""What is judged to need somebody's hand."""

from dataclasses import replace

import pytest

from services.console.actions.alerts import Severity, judge
from services.console.doctor.finding import good, wrong
from services.console.pulse.facts import (
    Broker,
    Certificate,
    Disk,
    Engine,
    Growth,
    MissingKey,
    PolicyNow,
    Readiness,
    Skew,
    Status,
)
from shared.broker.topology import Queue
from tests.unit.services.console.pulse.gateway import DAY, NOW, around, depth, node, well


def test_of_a_gateway_that_is_well_there_is_nothing_to_say() -> None:
    assert judge(well()) == ()
    assert judge(well(surroundings=None, broker=None)) == ()


CASES: list[tuple[str, Status, Severity, str]] = [
    ("edge away", well(services=(Readiness("edge", "u", ready=False, said="not reachable: refused"),)), Severity.CRITICAL, "no new mail is taken"),
    ("recorder away", well(services=(Readiness("recorder", "u", ready=False, said="not ready: database"),)), Severity.WARNING, "mail flows on"),
    ("broker unknown", well(queues_problem="refused", queues=(), broker=None), Severity.WARNING, "cannot be asked: refused"),
    ("database away", well(database_problem="locked"), Severity.CRITICAL, "does not answer: locked"),
    ("nobody takes", well(queues=(depth(Queue.CONTENT.value, 5, consumers=0),)), Severity.CRITICAL, "5 wait, and nobody takes them"),
    ("a member is down", well(queues=(depth(Queue.CONTENT.value, online=2),)), Severity.WARNING, "2 of 3 nodes"),
    ("no majority", well(queues=(depth(Queue.CONTENT.value, online=1),)), Severity.CRITICAL, "no majority"),
    ("grows", well(growing=(Growth(Queue.DELIVERY.value, 10, 900, 300.0),)), Severity.WARNING, "grew from 10 to 900 within 5 min"),
    ("old in content", well(oldest=("01abc", "received", NOW - 1000)), Severity.WARNING, "has waited for 17 min (01abc, received)"),
    ("old in delivery", well(oldest=("01abc", "retrying", NOW - 1000)), Severity.NOTICE, "has waited for 17 min"),
    ("very old in delivery", well(oldest=("01abc", "retrying", NOW - 5 * 3600)), Severity.WARNING, "has waited for 5.0 h"),
    ("node down", well(broker=Broker("4", (node(running=False),))), Severity.CRITICAL, "rabbit@one is down"),
    ("memory alarm", well(broker=Broker("4", (node(memory_alarm=True),))), Severity.CRITICAL, "memory alarm"),
    ("disk alarm", well(broker=Broker("4", (node(disk_alarm=True),))), Severity.CRITICAL, "disk alarm"),
    ("disk near its alarm", well(broker=Broker("4", (node(disk_free_bytes=2000),))), Severity.WARNING, "fills"),
    ("unconfirmed", well(policy=PolicyNow(5, "anna", NOW - 60, NOW + 240)), Severity.WARNING, "goes back by itself"),
    ("versions differ", well(services=(Readiness("edge", "u", ready=True, said="", policy_version=4), Readiness("content", "u", ready=True, said="", policy_version=3))), Severity.WARNING, "edge 4, content 3"),
    ("policy refused", well(services=(Readiness("edge", "u", ready=True, said="", policy_version=4), Readiness("content", "u", ready=True, said="", policy_version=3, policy_refused=4))), Severity.WARNING, "content could not use version 4 of the policy and goes on with 3"),
    ("first policy refused", well(services=(Readiness("content", "u", ready=True, said="", policy_refused=1),)), Severity.WARNING, "goes on with none"),
    ("poison", well(poison=1), Severity.WARNING, "1 message is in quarantine because a stage died of it"),
    ("engine away", around(engines=(Engine("Rspamd", "b:1", well=False, said="b:1: refused", mend="start Rspamd"),)), Severity.CRITICAL, "Rspamd does not answer"),
    ("old signatures", around(engines=(Engine("clamd", "a", well=True, said="", signatures_at=NOW - 4 * DAY),)), Severity.WARNING, "are 4 days old"),
    ("very old signatures", around(engines=(Engine("clamd", "a", well=True, said="", signatures_at=NOW - 20 * DAY),)), Severity.CRITICAL, "are 20 days old"),
    ("certificate soon", around(certificates=(Certificate("/c.pem", NOW + 20 * DAY),)), Severity.WARNING, "expires in 20 days"),
    ("certificate over", around(certificates=(Certificate("/c.pem", NOW - 1),)), Severity.CRITICAL, "expired"),
    ("certificate unreadable", around(certificates=(Certificate("/c.pem", None, "no such file"),)), Severity.WARNING, "no such file"),
    ("disk fills", around(disks=(Disk("/var", 5_000_000_000, 100_000_000_000),)), Severity.WARNING, "5.0 GB of 100.0 GB are free"),
    ("disk full", around(disks=(Disk("/var", 500_000_000, 100_000_000_000),)), Severity.CRITICAL, "fills"),
    ("no record", around(missing_keys=(MissingKey("a.test", "gp1", "absent"),)), Severity.WARNING, "no usable record of the DKIM key gp1 of a.test"),
    ("clock by the trace", around(skews=(Skew("two", "one", 30.0),)), Severity.WARNING, "The clock of two is 30 s ahead of that of one"),
    ("clock by the doctor", around(clocks=(good("clock a", "agrees"), wrong("clock b", "40 s behind", "set it"))), Severity.CRITICAL, "40 s behind"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "severity", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_trouble_is_told_in_words_with_what_to_do(status: Status, severity: Severity, text: str) -> None:
    (alert,) = judge(status)
    assert (alert.severity, text in alert.text) == (severity, True), alert
    assert alert.mend
    assert alert.since is not None


@pytest.mark.parametrize(
    "status",
    [
        well(oldest=("01abc", "received", NOW - 100)),
        well(policy=PolicyNow(5, "anna", NOW - 600, NOW - 1)),
        well(queues=(depth(Queue.VERIFY.value, 3, consumers=0), depth("gatepost.delivery.retry.60s", 40, consumers=0))),
        around(certificates=(Certificate("/c.pem", NOW + 22 * DAY),)),
        around(disks=(Disk("/var", 50_000_000_000, 100_000_000_000),)),
    ],
)  # fmt: skip
def test_what_is_as_it_should_be_is_no_alert(status: Status) -> None:
    assert judge(status) == ()


def test_the_worst_come_first_and_each_keeps_since_when_it_is_there() -> None:
    spoilt = well(poison=2, database_problem="gone", oldest=("01abc", "retrying", NOW - 1000))
    first = judge(spoilt)
    assert [alert.severity for alert in first] == [Severity.CRITICAL, Severity.WARNING, Severity.NOTICE]
    assert [alert.since for alert in first] == [NOW, NOW, NOW - 1000]
    later = judge(replace(spoilt, at=NOW + 60), {alert.key: alert.since or 0.0 for alert in first})
    assert [alert.since for alert in later] == [NOW, NOW, NOW - 1000]


def test_what_a_stranger_wrote_moves_no_severity_and_no_link() -> None:
    (alert,) = judge(well(oldest=("javascript:alert(1)", "received", NOW - 5000)))
    assert alert.link.startswith("/messages/")
