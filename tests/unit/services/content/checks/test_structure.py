"""Rules of the check `structure`: what is wrong with a message's form, a sentence for each kind of fault."""

import pytest

from services.content.checks.structure import structure_findings
from services.content.mime.inspection import Fault, FaultKind, Inspection
from services.content.mime.walk import inspect
from shared.auth.message import MAX_FIELDS, MAX_HEADER_BYTES, split_message
from shared.policy import Checks
from shared.verdict import CheckName


@pytest.mark.parametrize(
    ("data", "result", "rule"),
    [
        (b"From: a@b.test\r\n\r\nbody", "ok", ""),
        (b"\r\nno header at all", "ok", ""),
        (b"From a@b.test\r\nTo: c@d.test\r\n\r\n", "malformed", "malformed"),
        (b"X: " + b"x" * MAX_HEADER_BYTES + b"\r\n\r\n", "exceeded", "exceeded"),
        (b"X: y\r\n" * (MAX_FIELDS + 1) + b"\r\n", "exceeded", "exceeded"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 2000, "exceeded", "exceeded"),
        (b"Content-Type: multipart/mixed\r\n\r\nx", "malformed", "malformed"),
        (b"Content-Type: text/plain\r\nContent-Type: message/rfc822\r\n\r\nx", "ambiguous", "ambiguous"),
    ],
)
def test_a_message_is_well_formed_or_what_is_wrong_has_a_rule(data: bytes, result: str, rule: str) -> None:
    message = split_message(data)
    [finding] = structure_findings(message, inspect(message))
    assert (finding.check, finding.result, finding.rule, finding.unsure) == (CheckName.STRUCTURE, result, rule, False)
    assert finding.evidence.endswith(".")
    assert bool(finding.change) == bool(rule)


def test_each_kind_of_fault_is_told_so_that_accepting_one_hides_no_other() -> None:
    kinds = [FaultKind.MALFORMED, FaultKind.AMBIGUOUS, FaultKind.EXCEEDED, FaultKind.OVERRUN, FaultKind.MALFORMED]
    faults = tuple(Fault(kind, f"it is {kind}", "2") for kind in kinds)
    findings = structure_findings(split_message(b"X: y\r\n\r\n"), Inspection(3, (), faults))
    assert [finding.rule for finding in findings] == ["exceeded", "ambiguous", "overrun", "malformed"]
    assert findings[-1].evidence == "It is malformed (part 2); it is malformed (part 2)."
    assert {finding.input for finding in findings} == {"the header and 3 MIME parts"}


def test_archives_are_no_matter_of_structure() -> None:
    faults = (Fault(FaultKind.ARCHIVE_UNREADABLE, "x", "1"),)
    assert structure_findings(split_message(b"X: y\r\n\r\n"), Inspection(1, (), faults))[0].rule == ""


def test_every_fault_of_structure_is_a_key_of_the_policy() -> None:
    rules = Checks().structure
    for kind in FaultKind:
        assert hasattr(rules, kind.value) != kind.value.startswith("archive-")
