"""Rules of the policy in force: the highest valid version wins, and what nobody confirms goes back by itself."""

import asyncio
import time

import pytest

from shared.broker.connect import Link
from shared.broker.in_force import PolicyInForce
from shared.policy import Policy
from shared.policy_entry import PolicyEntry, encode_policy
from shared.settings import BrokerSettings

OTHER_ROUTE = 'default_route = "smtp://{}.test"'
SOON_S = 0.05


class Stream:
    """The stream's entries, handed to the reader one by one; a link that is never started has no socket."""

    def __init__(self) -> None:
        self.routes: list[str] = []
        self.changed = asyncio.Event()
        settings = BrokerSettings.model_validate({"user": "edge", "password": "x"})
        self.in_force = PolicyInForce(Link(settings, "test"), self._on_change)

    def _on_change(self, policy: Policy) -> None:
        self.routes.append(policy.default_route.removeprefix("smtp://").removesuffix(".test"))
        self.changed.set()

    async def entry(self, version: int, route: str, confirm_in_s: float | None = None, text: str | None = None) -> None:
        confirm_by = None if confirm_in_s is None else time.time() + confirm_in_s
        body = OTHER_ROUTE.format(route) if text is None else text
        await self.in_force._on_entry(encode_policy(PolicyEntry(version, "a", "r", 0, body, confirm_by)))

    async def until(self, *routes: str) -> None:
        async with asyncio.timeout(10):
            while self.routes != list(routes):
                self.changed.clear()
                await self.changed.wait()


async def test_there_is_none_before_the_stream_was_read() -> None:
    stream = Stream()
    assert not stream.in_force.is_known
    with pytest.raises(LookupError, match="gatepost policy apply"):
        _ = stream.in_force.policy
    await stream.entry(1, "a")
    assert stream.in_force.is_known
    await asyncio.wait_for(stream.in_force.wait_known(), 1)


async def test_the_highest_version_wins_and_never_goes_back() -> None:
    stream = Stream()
    for version, route in [(1, "a"), (3, "c"), (2, "b"), (3, "again"), (0, "zero"), (-1, "minus")]:
        await stream.entry(version, route)
    assert (stream.routes, stream.in_force.version) == (["a", "c"], 3)


@pytest.mark.parametrize("text", ["x = 1", "not toml", "[limits]\nrecipients = 1"])
async def test_an_invalid_policy_never_replaces_a_good_one(text: str) -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "", text=text)
    assert (stream.routes, stream.in_force.version) == (["a"], 1)
    await stream.entry(3, "c")
    assert stream.routes == ["a", "c"]


async def test_an_entry_that_is_no_entry_is_an_error_to_the_reader_and_changes_nothing() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    with pytest.raises(ValueError, match="validation error"):
        await stream.in_force._on_entry(b"{}")
    assert stream.in_force.version == 1


async def test_what_is_not_confirmed_in_time_goes_back_by_itself() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", SOON_S)
    assert stream.routes == ["a", "b"]
    await stream.until("a", "b", "a")
    # Verdicts name the version that really decided; and the reverted one does not come again.
    assert stream.in_force.version == 1
    await stream.entry(2, "b")
    await stream.entry(1, "a")
    assert stream.routes == ["a", "b", "a"]
    await stream.entry(3, "c")
    assert (stream.routes[3:], stream.in_force.version) == (["c"], 3)


async def test_what_is_confirmed_stays() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", SOON_S)
    await stream.entry(3, "b")
    await stream.entry(4, "d", SOON_S)
    await stream.until("a", "b", "b", "d", "b")


async def test_of_two_unconfirmed_in_a_row_the_last_confirmed_one_comes_back_once() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", SOON_S)
    await stream.entry(3, "c", SOON_S * 2)
    await stream.until("a", "b", "c", "a")


async def test_a_stage_that_was_down_passes_over_what_nobody_confirmed() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", -1)
    assert stream.routes == ["a"]
    await stream.entry(3, "c")
    assert stream.routes == ["a", "c"]


async def test_an_invalid_version_does_not_stop_the_way_back() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", SOON_S)
    await stream.entry(3, "", text="x = 1")
    await stream.until("a", "b", "a")


async def test_an_expired_version_does_not_stop_the_way_back() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", SOON_S)
    await stream.entry(3, "c", -1)
    await stream.until("a", "b", "a")
