"""What edge reads from a header that was written to harm it."""

import pytest

from services.edge.decide.loop import judge_loop
from services.edge.header import read_header
from tests.cpu_time import least_cpu_s


@pytest.mark.parametrize("subject", ["=?é?q?a?=", "=?undefined?q?x?=", "=?unknown-8bit?q?=ff?=", "=?utf-8?b?=?="])
def test_no_subject_is_beyond_reading(subject: str) -> None:
    read_header(f"Subject: {subject}\r\n\r\nx\r\n".encode(), 0)


def test_marks_of_many_loops_and_a_thousand_recipients_are_compared_in_no_time() -> None:
    fields = b"".join(b"X-Gatepost-Seen: %026d aaaaaaaaaaaaaaaa\r\n" % number for number in range(1000))
    facts = read_header(fields + b"\r\n", 0)
    recipients = [f"somebody-{number}@ours.test" for number in range(1000)]
    assert judge_loop(facts, recipients, 30, b"key") is None
    assert least_cpu_s(lambda: judge_loop(facts, recipients, 30, b"key")) < 0.1
