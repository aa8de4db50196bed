"""What may follow a command without waiting for its answer (RFC 2920 §3.1)."""

import pytest

from services.edge.decide.pipelining import judge_pipelining


@pytest.mark.parametrize(
    "command, with_ehlo, without",
    [
        (b"MAIL", True, False),
        (b"RCPT", True, False),
        (b"BDAT", True, False),
        (b"RSET", True, True),
        (b"NOOP", True, True),
        (b"QUIT", True, True),
        (b"VRFY", True, True),
        (b"STARTTLS", True, True),
        (b"WHAT", True, False),
        (b"", True, False),
        (b"EHLO", False, False),
        (b"HELO", False, False),
        (b"DATA", False, False),
        (b"AUTH", False, False),
        (b"XCLIENT", False, False),
    ],
)
def test_what_may_be_followed(command: bytes, with_ehlo: bool, without: bool) -> None:
    assert (judge_pipelining(command, extended=True) is None) == with_ehlo
    assert (judge_pipelining(command, extended=False) is None) == without
