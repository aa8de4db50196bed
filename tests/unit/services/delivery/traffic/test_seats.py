"""The rules of `services.delivery.traffic.seats`."""

import asyncio
import time

import pytest

from services.delivery.traffic.busy import Busy
from services.delivery.traffic.seats import Seats
from shared.state.memory import MemoryState


async def test_a_seat_whose_connection_has_just_ended_is_free_for_who_asks_at_once() -> None:
    seats = Seats("smtp://hop", MemoryState(time.monotonic))
    await seats.take(1)
    # As a session that has carried its last message ends: nobody waits yet, and the state has not heard of it.
    seats.note_ending()
    seats.give_back()
    seats.note_ended()
    async with asyncio.timeout(5):
        await seats.take(1)
    assert seats.taken == 1


async def test_a_seat_that_is_in_use_is_not_waited_for() -> None:
    seats = Seats("smtp://hop", MemoryState(time.monotonic))
    await seats.take(1)
    with pytest.raises(Busy, match="free connection"):
        await seats.take(1)


async def test_of_two_who_ask_for_the_one_seat_given_back_one_gets_it() -> None:
    seats = Seats("smtp://hop", MemoryState(time.monotonic))
    await seats.take(1)
    seats.give_back()
    got = await asyncio.gather(seats.take(1), seats.take(1), return_exceptions=True)
    assert sorted(type(one).__name__ for one in got) == ["Busy", "NoneType"]
