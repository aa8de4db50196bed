"""Lines and pieces from what has come so far."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.inbox import HELD_LIMIT_BYTES, BadLine, Inbox


class Side:
    """The reading side of a transport, which only notes."""

    def __init__(self) -> None:
        self.paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def idle(side: Side | None = None) -> Inbox:
    """Return an inbox that nobody waits for."""
    return Inbox(None, side or Side())  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=20).filter(lambda line: not set(line) & set(b"\r\n\0")), max_size=10), st.data())
def test_lines_come_back_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    held = idle()
    octets = b"".join(line + b"\r\n" for line in lines)
    found = []
    while octets:
        cut = data.draw(st.integers(1, len(octets)))
        held.feed(octets[:cut])
        octets = octets[cut:]
        while (line := held.take_line()) is not None:
            found.append(line)
    assert found == lines


@pytest.mark.parametrize("octets", [b"a\n", b"a\rb\r\n", b"a\r\r\n", b"\0\r\n", b"x" * 5000, b"x" * 5000 + b"\r\n"])
def test_bad_lines_are_errors(octets: bytes) -> None:
    held = idle()
    held.feed(octets)
    with pytest.raises(BadLine):
        held.take_line()


def test_the_socket_is_not_read_while_much_is_held() -> None:
    side = Side()
    held = idle(side)
    held.feed(b"x" * (HELD_LIMIT_BYTES + 1))
    assert side.paused
    assert len(held.take(HELD_LIMIT_BYTES // 2 + 1)) == HELD_LIMIT_BYTES // 2 + 1
    assert not side.paused


def test_what_was_taken_too_much_comes_first_again() -> None:
    held = idle()
    held.feed(b"abc")
    held.put_back(held.take(2))
    held.feed(b"d")
    assert held.take() == b"abcd"


async def test_the_end_and_an_error_wake_the_waiter() -> None:
    held = Inbox(asyncio.get_running_loop(), Side())
    waiting = asyncio.create_task(held.more())
    await asyncio.sleep(0)
    assert held.fail(TimeoutError())
    with pytest.raises(TimeoutError):
        await waiting
    assert not held.fail(TimeoutError())
    held.end()
    with pytest.raises(ConnectionResetError):
        await held.more()


async def test_whoever_rests_is_woken_by_the_end_or_an_error_alone() -> None:
    held = Inbox(asyncio.get_running_loop(), Side())
    resting = asyncio.create_task(held.rest())
    await asyncio.sleep(0)
    held.feed(b"NOOP\r\n")
    await asyncio.sleep(0)
    assert not resting.done()
    assert held.fail(TimeoutError())
    with pytest.raises(TimeoutError):
        await resting
    assert held.has_more
    assert held.take_line() == b"NOOP"
    assert not held.has_more
    resting = asyncio.create_task(held.rest())
    await asyncio.sleep(0)
    held.end()
    await resting
    await held.rest()
