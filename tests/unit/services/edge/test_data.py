"""Reading messages, in pieces of any size."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.data import LONGEST_LINE, Content, DotReader, Flaw, PieceReader
from services.edge.limits import ByteBudget

HEAD = b"Received: x\r\n"


def content(limit: int = 1000, budget: int = 10_000_000) -> Content:
    return Content(HEAD, limit, ByteBudget(budget))


def read(octets: bytes, cuts: list[int], kept: Content) -> bytes | None:
    """Feed the octets in pieces; return what is left behind the end, or None while there is no end."""
    reader = DotReader(kept)
    bounds = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    for start, stop in pairwise(bounds):
        piece = octets[start:stop]
        rest = reader.feed(piece)
        if rest is not None:
            return piece[rest:] + octets[stop:]
    return None


@pytest.mark.parametrize(
    "sent, kept",
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a.\r\n.b\r\n..\r\n.\r\n", b"a.\r\nb\r\n.\r\n"),
    ],
)
def test_dots_are_removed_and_the_end_is_found(sent: bytes, kept: bytes) -> None:
    for size in (1, 2, 3, 100):
        message = content()
        rest = read(sent + b"QUIT\r\n", list(range(0, 1000, size)), message)
        assert rest == b"QUIT\r\n"
        assert bytes(message.octets) == HEAD + kept
        assert message.flaw is None


LINES = st.lists(st.sampled_from([b"", b".", b"..", b"a", b".a", b"a.", b" .", b"x" * 50]), max_size=12)


@given(LINES, st.lists(st.integers(0, 500), max_size=20))
def test_what_is_stuffed_comes_back_however_it_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)
    kept = content(limit=10_000)
    assert read(stuffed + b".\r\nNOOP\r\n", cuts, kept) == b"NOOP\r\n"
    assert bytes(kept.octets) == HEAD + message


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\0"]), max_size=30), st.lists(st.integers(0, 60)))
def test_only_crlf_dot_crlf_ends_and_flaws_are_seen_however_it_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(parts)
    end = (b"\r\n" + octets).find(b"\r\n.\r\n")
    kept = content()
    rest = read(octets, cuts, kept)
    if end < 0:
        assert rest is None
        return
    body = octets[:end]
    assert rest == octets[end + 3 :]
    flawed = re.search(rb"\r(?!\n)|(?<!\r)\n|\0", body) is not None
    assert (kept.flaw is not None) == flawed


def test_a_flaw_gives_memory_and_budget_back_at_once() -> None:
    budget = ByteBudget(10_000_000)
    kept = Content(HEAD, 100_000, budget)
    reader = DotReader(kept)
    reader.feed(b"x" * 90_000)
    assert budget.used >= 90_000
    reader.feed(b"x" * 90_000)
    assert (kept.flaw, budget.used, len(kept.octets)) == (Flaw.TOO_LARGE, 0, 0)


def test_without_room_in_the_budget_nothing_is_kept() -> None:
    budget = ByteBudget(70_000)
    one, two = Content(HEAD, 100_000, budget), Content(HEAD, 100_000, budget)
    one.add(b"x" * 100)
    two.add(b"x" * 100)
    assert (one.flaw, two.flaw) == (None, Flaw.NO_ROOM)
    one.close()
    one.close()
    assert budget.used == 0


def test_the_head_does_not_count() -> None:
    kept = content(limit=3)
    kept.add(b"abc")
    assert (kept.flaw, kept.size) == (None, 3)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"\r\n", b".\r\n"]), max_size=20))
def test_chunks_are_judged_as_one(pieces: list[bytes]) -> None:
    kept = content()
    reader = PieceReader(kept)
    for piece in pieces:
        reader.feed(piece)
    reader.finish()
    octets = b"".join(pieces)
    flawed = re.search(rb"\r(?!\n)|(?<!\r)\n", octets) is not None
    assert (kept.flaw is Flaw.BARE_LINE_END) == flawed
    if not flawed:
        expected = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
        assert bytes(kept.octets) == HEAD + expected


@given(
    st.lists(st.sampled_from([0, 1, 2, 500, 996, 997, 998, 999, 1000, 3000]), max_size=8),
    st.lists(st.integers(0, 6000), max_size=8),
    st.booleans(),
)
def test_lines_too_long_are_seen_however_they_are_cut(lengths: list[int], cuts: list[int], dotted: bool) -> None:
    lines = [b"x" * length for length in lengths]
    # A dot that was stuffed does not count.
    sent = b"".join((b".." + line[1:] if dotted and line else line) + b"\r\n" for line in lines)
    kept = Content(HEAD, 100_000, ByteBudget(10_000_000), LONGEST_LINE)
    assert read(sent + b".\r\n", cuts, kept) == b""
    assert (kept.flaw is Flaw.LONG_LINE) == (max(lengths, default=0) > 998)


def test_long_lines_in_chunks_are_seen_across_chunks() -> None:
    kept = Content(HEAD, 100_000, ByteBudget(10_000_000), LONGEST_LINE)
    reader = PieceReader(kept)
    reader.feed(b"a\r\n" + b"x" * 500 + b"\r")
    reader.feed(b"\n" + b"x" * 998 + b"\r")
    reader.feed(b"\n" + b"x" * 998)
    assert kept.flaw is None
    reader.feed(b"x")
    assert kept.flaw is Flaw.LONG_LINE


def test_lines_of_any_length_are_taken_unless_asked_otherwise() -> None:
    kept = content(limit=100_000)
    read(b"x" * 50_000 + b"\r\n.\r\n", [], kept)
    assert kept.flaw is None
