"""Rules of what stands on top of a message: forged results go, ours are told, the rest stays byte for byte."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth.marks import (
    claims_to_be_ours,
    fields_on_top,
    tag_field,
    verdict_field,
    with_subject_tag,
    without_forged_results,
)
from shared.verdict import Action, CheckName, Reason, Verdict

OURS = "mx.gatepost.test"


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        (b" mx.gatepost.test; spf=pass", True),
        (b" MX.Gatepost.TEST 1; none", True),
        (b"\r\n\tmx.gatepost.test;\r\n\tspf=pass", True),
        (b' "mx.gatepost.test"; spf=pass', True),
        (b" (a (nested) comment) mx.gatepost.test; spf=pass", True),
        (b" mx.gatepost.test.; spf=pass", True),
        (b" mx.gatepost.test(c); spf=pass", True),
        (b" other.test; spf=pass", False),
        (b" mx.gatepost.test.evil.test; spf=pass", False),
        (b" xmx.gatepost.test; spf=pass", False),
        (b"", True),
        (b" ; spf=pass", True),
        (b" (unclosed mx.gatepost.test", True),
        (b" ) mx.gatepost.test; spf=pass", True),
        (b" " + b"(" * 9 + b")" * 9 + b" mx.gatepost.test; spf=pass", True),
        (b" " + b"(" * 9 + b"\\)" + b")" * 9 + b" other.test; spf=pass", False),
        (b" (a)(b)\r\n (c)mx.gatepost.test; spf=pass", True),
        (b' (mx.gatepost.test) "other.test"; spf=pass', False),
    ],
)
def test_a_result_is_ours_by_its_authserv_id_or_if_it_has_none(value: bytes, ours: bool) -> None:
    assert claims_to_be_ours(value, OURS) is ours


def test_forged_results_are_removed_and_others_kept_in_place() -> None:
    forged = b"Authentication-Results: mx.gatepost.test;\r\n dkim=pass\r\n"
    foreign = b"AUTHENTICATION-RESULTS: other.test; spf=pass\r\n"
    message = (
        b"From: a@b.test\r\n" + forged + foreign + b"authentication-results : mx.gatepost.test; x=y\r\n" + b"\r\nb"
    )
    assert without_forged_results(message, OURS) == (b"From: a@b.test\r\n" + foreign + b"\r\nb", 2)


def test_a_forged_result_in_the_body_stays() -> None:
    message = b"From: a@b.test\r\n\r\nAuthentication-Results: mx.gatepost.test; spf=pass\r\n"
    assert without_forged_results(message, OURS) == (message, 0)


def test_a_message_of_header_only_is_cleaned() -> None:
    assert without_forged_results(b"Authentication-Results: mx.gatepost.test; a=b\r\n", OURS) == (b"", 1)


@given(st.binary(max_size=300))
def test_a_message_without_results_is_returned_as_it_is(data: bytes) -> None:
    if b"authentication-results" not in data.lower():
        assert without_forged_results(data, OURS) == (data, 0)


@pytest.mark.parametrize(
    "comments", [b"()" * 100_000, b"(" * 100_000 + b")" * 100_000, b"(" * 200_000, b"(\\" * 100_000]
)
def test_however_many_comments_are_read_in_one_pass(comments: bytes) -> None:
    began = time.process_time()
    assert claims_to_be_ours(comments + b" mx.gatepost.test; spf=pass", OURS)
    # A second pass for each would take minutes.
    assert time.process_time() - began < 5


SPAM = Reason(
    CheckName.ANTISPAM, "spam", Action.TAG, "Rspamd gave it 7.2.", "checks.antispam.tag_at", score=7.2, threshold=6
)
CLEAN = Reason(CheckName.ANTIVIRUS, "clean", Action.ACCEPT, "ClamAV found nothing.")


def test_a_verdict_is_told_a_reason_a_line() -> None:
    assert verdict_field(Verdict(Action.TAG, (SPAM, CLEAN), 7), "01m85rrw9tejgajt89hfcgzyx2") == (
        b"X-Gatepost-Verdict: tag; id=01m85rrw9tejgajt89hfcgzyx2; policy=7;\r\n"
        b'\tantispam=spam (7.2 of 6) tag [checks.antispam.tag_at] "Rspamd gave it 7.2.";\r\n'
        b"\tantivirus=clean\r\n"
    )


@given(st.text(max_size=2000), st.integers(1, 30))
def test_no_evidence_breaks_the_field(evidence: str, count: int) -> None:
    reason = Reason(CheckName.ATTACHMENTS, "blocked", Action.TAG, evidence, "checks.attachments.blocked")
    field = verdict_field(Verdict(Action.TAG, (reason,) * count, 7), "01m85rrw9tejgajt89hfcgzyx2")
    assert field.isascii()
    assert len(field) < 2300
    assert all(line.startswith(b"\t") for line in field.removesuffix(b"\r\n").split(b"\r\n")[1:])
    assert field.count(b"\n") == field.count(b"\r\n")
    assert all(len(line) < 400 for line in field.split(b"\r\n"))


def test_only_a_tag_verdict_is_tagged() -> None:
    reason = Reason(CheckName.SPF, "fail", Action.TAG, "e")
    assert tag_field(Verdict(Action.TAG, (reason,))) == b"X-Gatepost-Tag: suspicious (spf)\r\n"
    assert tag_field(Verdict(Action.ACCEPT)) == b""


@pytest.mark.parametrize(
    ("message", "tagged"),
    [
        (b"A: b\r\nSubject: hello\r\n\r\nbody\r\n", b"A: b\r\nSubject: [SPAM] hello\r\n\r\nbody\r\n"),
        (b"subject:hello\r\n\r\n", b"subject:[SPAM] hello\r\n\r\n"),
        (b"Subject:\r\n\r\n", b"Subject:[SPAM] \r\n\r\n"),
        (b"Subject: [SPAM] hello\r\n\r\n", b"Subject: [SPAM] hello\r\n\r\n"),
        (b"A: b\r\n\r\nSubject: no header\r\n", b"Subject: [SPAM]\r\nA: b\r\n\r\nSubject: no header\r\n"),
        (b"X-Subject: a\r\n\r\n", b"Subject: [SPAM]\r\nX-Subject: a\r\n\r\n"),
    ],
)
def test_a_subject_is_tagged_once_and_nothing_else_changes(message: bytes, tagged: bytes) -> None:
    assert with_subject_tag(message, "[SPAM]") == tagged


@pytest.mark.parametrize("name", [b"X-Gatepost-Verdict", b"x-gatepost-tag"])
def test_a_stranger_writes_no_verdict_of_ours(name: bytes) -> None:
    forged = name + b": accept;\r\n\tid=1\r\n"
    for message in (forged + b"A: b\r\n\r\nbody", b"A: b\r\n" + forged + b"\r\nbody"):
        assert without_forged_results(message, OURS) == (message.replace(forged, b""), 1)


def test_where_our_name_is_not_known_no_result_is_believed() -> None:
    message = b"A: b\r\nAuthentication-Results: other.test; spf=pass\r\n\r\n"
    assert without_forged_results(message, None) == (b"A: b\r\n\r\n", 1)


def test_what_is_put_on_top_is_tag_verdict_and_results() -> None:
    top = fields_on_top(Verdict(Action.TAG, (SPAM,), 7), "mx.test; spf=pass", "id1", shown=True)
    lines = [line.partition(b":")[0] for line in top.split(b"\r\n") if line and line[:1] != b"\t"]
    assert lines == [b"X-Gatepost-Tag", b"X-Gatepost-Verdict", b"Authentication-Results"]
    assert fields_on_top(Verdict(Action.ACCEPT), "", "id1", shown=False) == b""
