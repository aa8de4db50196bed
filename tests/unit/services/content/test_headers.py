"""Rules of the header: forged results go, everything else stays byte for byte."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.headers import claims_to_be_ours, results_field, tag_field, without_forged_results
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


def test_our_field_holds_a_result_a_line_and_says_none_without_any() -> None:
    assert results_field(OURS, ["spf=pass", "dmarc=pass"]) == (
        b"Authentication-Results: mx.gatepost.test;\r\n\tspf=pass;\r\n\tdmarc=pass\r\n"
    )
    assert results_field(OURS, []) == b"Authentication-Results: mx.gatepost.test;\r\n\tnone\r\n"


def test_only_a_tag_verdict_is_tagged() -> None:
    reason = Reason(CheckName.SPF, "fail", Action.TAG, "e")
    assert tag_field(Verdict(Action.TAG, (reason,))) == b"X-Gatepost-Tag: suspicious (spf)\r\n"
    assert tag_field(Verdict(Action.ACCEPT)) == b""


@pytest.mark.parametrize(
    "comments", [b"()" * 100_000, b"(" * 100_000 + b")" * 100_000, b"(" * 200_000, b"(\\" * 100_000]
)
def test_however_many_comments_are_read_in_one_pass(comments: bytes) -> None:
    began = time.process_time()
    assert claims_to_be_ours(comments + b" mx.gatepost.test; spf=pass", OURS)
    # A second pass for each would take minutes.
    assert time.process_time() - began < 5
