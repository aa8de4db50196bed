"""Canonical forms: the same bytes as dkimpy's, in linear time."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

from dkim.canonicalization import Relaxed, Simple
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.auth.canon import (
    BodyDigests,
    relaxed_body,
    relaxed_field,
    simple_body,
    simple_field,
)
from shared.auth.message import Field

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed import TraceFunction

BODIES = st.lists(
    st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b"b c", b"\x00", b"\xff"]), max_size=40
).map(b"".join)


@settings(deadline=None)
@given(BODIES | st.binary(max_size=200))
def test_canonical_bodies_are_dkimpys(body: bytes) -> None:
    assert relaxed_body(body) == Relaxed.canonicalize_body(body)
    assert simple_body(body) == Simple.canonicalize_body(body)


@settings(deadline=None)
@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n ", b"\r\n\t", b"a", b"B:", b"\xff"]), max_size=20).map(b"".join))
def test_canonical_fields_are_dkimpys(value: bytes) -> None:
    field = Field(b"subject", b"SubJect ", value)
    ((name, relaxed),) = Relaxed.canonicalize_headers([(b"SubJect ", value + b"\r\n")])
    assert relaxed_field(field) + b"\r\n" == name + b":" + relaxed
    assert simple_field(field) == b"SubJect :" + value


def test_long_runs_of_spaces_and_line_ends_take_few_passes() -> None:
    # dkimpy takes minutes for these; here the work is counted in lines run, which must not grow with the input.
    def lines_run(size: int) -> int:
        count = 0

        def trace(_frame: FrameType, _event: str, _arg: object) -> TraceFunction:
            nonlocal count
            count += 1
            return trace

        bodies = (b"x" + b" " * size + b"y\r\n", b"x" + b"\r\n" * size, b" \t" * size)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            for body in bodies:
                relaxed_body(body)
        finally:
            sys.settrace(before)
        return count

    assert lines_run(1_000_000) < lines_run(10_000) * 8


def test_a_digest_is_computed_once_per_form_and_length() -> None:
    digests = BodyDigests(b"a  b\r\n\r\n")
    for _ in range(3):
        assert digests.sha256(relaxed=True) == hashlib.sha256(b"a b\r\n").digest()
        assert digests.sha256(relaxed=False) == hashlib.sha256(b"a  b\r\n").digest()
        assert digests.sha256(relaxed=True, length=2) == hashlib.sha256(b"a ").digest()
        assert digests.sha256(relaxed=True, length=5) == digests.sha256(relaxed=True)
    assert digests.hashed_bytes == 5 + 6 + 2


def test_an_empty_body_is_nothing_when_relaxed_and_a_line_end_when_simple() -> None:
    assert (relaxed_body(b""), simple_body(b"")) == (b"", b"\r\n")
    assert (relaxed_body(b" \r\n\r\n"), simple_body(b"\r\n\r\n")) == (b"", b"\r\n")
