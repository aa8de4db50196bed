"""What a sealed field of results says of DMARC."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.auth.sealedresults import says_dmarc_passed


@pytest.mark.parametrize(
    "value",
    [
        "i=1; mx.test; dmarc=pass header.from=a.test",
        # As large receivers write it.
        (
            "i=1; mx.google.com;\r\n dkim=pass header.i=@a.test header.s=s header.b=abc;\r\n spf=pass (google.com: domain of"
            " x@a.test designates 192.0.2.1 as permitted sender) smtp.mailfrom=x@a.test;\r\n dmarc=pass (p=NONE sp=NONE"
            " dis=NONE) header.from=a.test"
        ),
        (
            "i=1; mx.microsoft.com 1; spf=pass smtp.mailfrom=a.test; dmarc=pass action=none header.from=a.test;"
            " dkim=pass header.d=a.test; arc=none"
        ),
        "i=1; mx.test; dmarc=pass header.from=A.TEST",
        'i=1; mx.test; dmarc=pass reason="all; well" header.from="a.test"',
        "i=1; mx.test; DMARC = PASS header.from=a.test",
        "i=1; mx.test; dmarc=pass policy.dmarc=none header.from=a.test (as ((it)) \\) seems)",
    ],
)
def test_a_pass_of_the_author_is_one(value: str) -> None:
    assert says_dmarc_passed(value.encode(), "a.test")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "i=1; mx.test; none",
        "i=1; mx.test; dmarc=fail header.from=a.test",
        "i=1; mx.test; dmarc=none header.from=a.test",
        "i=1; mx.test; dmarc=bestguesspass header.from=a.test",
        "i=1; mx.test; dmarc=pass",
        "i=1; mx.test; dmarc=pass header.from=b.test",
        "i=1; mx.test; dmarc=pass header.from=a.test.evil.test",
        "i=1; mx.test; dmarc=pass header.from=a.test header.from=b.test",
        "i=1; mx.test; dmarc=pass header.d=a.test",
        "i=1; mx.test; dmarc=fail header.from=a.test; dmarc=pass header.from=a.test",
        "i=1; mx.test; dmarc=pass header.from=a.test; dmarc=fail header.from=a.test",
        "i=1; mx.test; xdmarc=pass header.from=a.test",
        "i=1; mx.test; dmarc-x=pass header.from=a.test",
        # Words of the sender within a comment or quotes are not results.
        "i=1; mx.test; spf=none (x; dmarc=pass header.from=a.test)",
        'i=1; mx.test; spf=none smtp.mailfrom="; dmarc=pass header.from=a.test"',
        'i=1; mx.test; spf=none (") smtp.helo=x; dmarc=pass header.from=a.test (")" smtp.mailfrom=z"',
        "i=1; mx.test; dmarc=pass header.from=a.test (",
        'i=1; mx.test; dmarc=pass header.from=a.test "',
        "i=1; mx.test; dmarc=pass header.from=a.test" + " policy.x=y" * 100,
    ],
)
def test_all_else_is_none(value: str) -> None:
    assert not says_dmarc_passed(value.encode(), "a.test")


@pytest.mark.parametrize(
    "value",
    [b"(" * 16_000, b"()" * 8_000, b"; dmarc" * 2_000, b'"' * 16_000, b"\\" * 16_000, b"; dmarc=pass " + b"a=b " * 4_000, b"x" * 10**6],
)  # fmt: skip
def test_hostile_fields_are_read_in_one_pass(value: bytes) -> None:
    began = time.process_time()
    assert not says_dmarc_passed(value, "a.test")
    assert time.process_time() - began < 0.5


@settings(deadline=None)
@given(st.text('dmarc=ps; ()"\\hedr.foa.t', max_size=80) | st.text(max_size=40))
def test_nothing_makes_it_raise(text: str) -> None:
    says_dmarc_passed(f"i=1; x; dmarc=pass {text}".encode(), "a.test")
