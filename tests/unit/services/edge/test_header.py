"""What edge reads from a header that was written to harm it."""

import time

import pytest

from services.edge.decide.loop import judge_loop
from services.edge.header import read_header


@pytest.mark.parametrize("subject", ["=?é?q?a?=", "=?undefined?q?x?=", "=?unknown-8bit?q?=ff?=", "=?utf-8?b?=?="])
def test_no_subject_is_beyond_reading(subject: str) -> None:
    read_header(f"Subject: {subject}\r\n\r\nx\r\n".encode(), 0)


def test_marks_of_many_loops_and_a_thousand_recipients_are_compared_in_no_time() -> None:
    fields = b"".join(b"X-Gatepost-Seen: %026d aaaaaaaaaaaaaaaa\r\n" % number for number in range(1000))
    facts = read_header(fields + b"\r\n", 0)
    began = time.process_time()
    assert judge_loop(facts, [f"somebody-{number}@ours.test" for number in range(1000)], 30, b"key") is None
    assert time.process_time() - began < 0.1
