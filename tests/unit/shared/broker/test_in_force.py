"""Rules of the policy in force: the highest valid version wins, and what nobody confirms goes back by itself."""

import asyncio
import time

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

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
        self.ahead_s = 0.0
        settings = BrokerSettings.model_validate({"user": "edge", "password": "x"})
        self.in_force = PolicyInForce(Link(settings, "test"), self._on_change, lambda: time.time() + self.ahead_s)

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


async def test_of_two_that_wait_the_one_that_waits_longer_holds_when_the_other_is_over() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", SOON_S * 3)
    await stream.entry(3, "c", SOON_S)
    await stream.until("a", "b", "c", "b", "a")


async def test_a_stage_that_was_down_takes_what_the_others_run() -> None:
    others, late = Stream(), Stream()
    entries: list[tuple[int, str, float | None]] = [(1, "a", None), (2, "b", 60), (3, "c", SOON_S)]
    for version, route, confirm_in_s in entries:
        await others.entry(version, route, confirm_in_s)
    await others.until("a", "b", "c", "b")
    for version, route, confirm_in_s in entries:
        await late.entry(version, route, -1 if confirm_in_s == SOON_S else confirm_in_s)
    assert late.in_force.version == others.in_force.version == 2


async def test_a_confirmation_that_comes_when_it_has_gone_back_brings_it_again() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", SOON_S)
    await stream.until("a", "b", "a")
    await stream.entry(3, "b")
    assert (stream.routes, stream.in_force.version) == (["a", "b", "a", "b"], 3)


async def test_what_has_gone_back_does_not_come_again_when_the_clock_is_set_back() -> None:
    stream = Stream()
    await stream.entry(1, "a")
    await stream.entry(2, "b", SOON_S)
    await stream.until("a", "b", "a")
    stream.ahead_s = -3600
    await stream.entry(2, "b", 60)
    await stream.entry(1, "a")
    assert (stream.routes, stream.in_force.version) == (["a", "b", "a"], 1)


async def test_a_stage_whose_clock_is_ahead_never_takes_what_is_over_for_it_and_takes_its_confirmation() -> None:
    stream = Stream()
    stream.ahead_s = 3600
    await stream.entry(1, "a")
    await stream.entry(2, "b", 60)
    await stream.entry(3, "b")
    assert stream.routes == ["a", "b"]


async def test_a_stage_whose_clock_is_behind_says_so() -> None:
    stream = Stream()
    stream.ahead_s = -3600
    with capture_logs() as logs:
        await stream.in_force._on_entry(encode_policy(PolicyEntry(1, "a", "r", time.time(), "")))
    assert [one["event"] for one in logs] == ["clocks-differ", "policy-in-force"]


async def test_a_first_version_that_nobody_confirms_stays_for_there_is_nothing_to_go_back_to() -> None:
    stream = Stream()
    await stream.entry(1, "a", -1)
    assert (stream.routes, stream.in_force.version) == (["a"], 1)


async def test_metrics_tell_the_version_in_force_and_the_one_that_was_refused() -> None:
    stream = Stream()
    await stream.entry(41, "a")
    await stream.entry(42, "", text="x = 1")
    assert REGISTRY.get_sample_value("gatepost_policy_version") == 41
    assert REGISTRY.get_sample_value("gatepost_policy_refused_version") == 42
