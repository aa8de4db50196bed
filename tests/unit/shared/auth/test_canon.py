"""Canonical forms: the same bytes as dkimpy's, in linear time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth.canon import (
    body_pieces,
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


@settings(deadline=None, max_examples=400)
@given(BODIES | st.binary(max_size=200), st.integers(1, 9))
def test_a_body_in_pieces_is_the_same_wherever_it_is_cut(body: bytes, piece_bytes: int) -> None:
    for relaxed, dkimpy in ((True, Relaxed), (False, Simple)):
        pieces = b"".join(body_pieces(body, relaxed=relaxed, piece_bytes=piece_bytes))
        assert pieces == (relaxed_body(body) if relaxed else simple_body(body))
        assert pieces == dkimpy.canonicalize_body(body)


@pytest.mark.parametrize(
    "body",
    [
        b"x" + b"\r\n" * 100_000 + b"y",
        b"x" + b"\r\n" * 100_000,
        b" " * 200_000 + b"\r\n",
        b"\t \r\n" * 50_000 + b"z \t",
        b"\r" * 200_000 + b"\n",
        b"line  of text \r\n" * 20_000,
    ],
)
@pytest.mark.parametrize("piece_bytes", [4_096, 10_007, 131_072])
def test_a_large_body_in_pieces_is_the_same(body: bytes, piece_bytes: int) -> None:
    assert b"".join(body_pieces(body, relaxed=True, piece_bytes=piece_bytes)) == relaxed_body(body)
    assert b"".join(body_pieces(body, relaxed=False, piece_bytes=piece_bytes)) == simple_body(body)


def test_no_piece_of_a_large_body_is_much_larger_than_was_asked_for() -> None:
    for body in (b"x" + b"\r\n" * 500_000 + b"y", b" " * 1_000_000, b"\r \n" * 300_000):
        for relaxed in (True, False):
            assert max(map(len, body_pieces(body, relaxed=relaxed, piece_bytes=10_000))) <= 10_002


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
                for relaxed in (True, False):
                    for _ in body_pieces(body, relaxed=relaxed):
                        pass
        finally:
            sys.settrace(before)
        return count

    assert lines_run(2_000_000) < lines_run(200_000) * 12


def test_an_empty_body_is_nothing_when_relaxed_and_a_line_end_when_simple() -> None:
    assert (relaxed_body(b""), simple_body(b"")) == (b"", b"\r\n")
    assert (relaxed_body(b" \r\n\r\n"), simple_body(b"\r\n\r\n")) == (b"", b"\r\n")
