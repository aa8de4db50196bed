"""One contract for state in memory and in Redis, and what holds of Redis alone: many workers, outages, lost data."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import structlog
from prometheus_client import REGISTRY

from infra.local.ports import free_ports
from services.console.authority import Authority
from shared.policy.table import Rate
from shared.settings import RedisSettings
from shared.state.fallback import FallbackState
from shared.state.memory import MemoryState
from shared.state.open import OwnedState, open_state
from shared.state.port import Ask, Place, StateUnavailable
from shared.state.redis import RedisState
from tests.redis import RedisServer

HOURLY = Rate(5, 3600)


@pytest.fixture(params=["memory", "redis", "fallback"])
async def state(request: pytest.FixtureRequest) -> AsyncIterator[OwnedState]:
    state: MemoryState | RedisState | FallbackState
    if request.param == "memory":
        state = MemoryState()
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        state = RedisState(server.settings) if request.param == "redis" else FallbackState(server.settings)
    await state.start()
    if not isinstance(state, MemoryState):
        await eventually(lambda: both_up([state]))
    yield state
    await state.close()


async def eventually(happens: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not await happens():
            await asyncio.sleep(0.02)


async def both_up(workers: Sequence[RedisState | FallbackState]) -> bool:
    return all(worker.is_up for worker in workers)


def test_redis_is_used_where_settings_name_one() -> None:
    assert isinstance(open_state(None), MemoryState)
    assert isinstance(open_state(RedisSettings()), FallbackState)


# ---- the contract


async def test_a_rate_lets_exactly_its_count_through(state: OwnedState) -> None:
    refused = [await state.take([Ask("k", HOURLY)]) for _ in range(8)]
    assert refused == [None] * 5 + [Ask("k", HOURLY)] * 3


async def test_keys_and_window_lengths_are_counted_apart(state: OwnedState) -> None:
    for _ in range(5):
        await state.take([Ask("k", HOURLY)])
    assert await state.take([Ask("other", HOURLY)]) is None
    assert await state.take([Ask("k", Rate(5, 60))]) is None
    assert await state.take([Ask("k", HOURLY)]) is not None


async def test_all_asks_are_counted_or_none(state: OwnedState) -> None:
    full, free = Ask("full", Rate(1, 3600)), Ask("free", HOURLY)
    assert await state.take([free, full]) is None
    for _ in range(10):
        assert await state.take([free, full]) == full
    assert [await state.take([free]) for _ in range(5)] == [None] * 4 + [free]


async def test_amounts_are_counted(state: OwnedState) -> None:
    rate = Rate(100_000_000_000_000, 86_400)
    assert await state.take([Ask("k", rate, 99_999_999_999_999)]) is None
    assert await state.take([Ask("k", rate, 2)]) is not None
    assert await state.take([Ask("k", rate, 1)]) is None
    assert await state.take([Ask("k", rate, 1)]) is not None


async def test_an_ask_above_the_whole_count_is_refused_and_counts_nothing(state: OwnedState) -> None:
    above = Ask("k", HOURLY, 6)
    assert await state.take([above]) == above
    assert await state.take([Ask("k", HOURLY, 5)]) is None


async def test_one_key_may_be_asked_for_twice_at_once(state: OwnedState) -> None:
    ask = Ask("k", HOURLY, 3)
    assert await state.take([ask, ask]) == ask
    assert await state.take([ask]) is None
    place = Place("k", 1)
    assert await state.enter([place, place]) == place
    assert await state.enter([place]) is None


async def test_a_rate_may_change_with_the_policy(state: OwnedState) -> None:
    for _ in range(5):
        await state.take([Ask("k", HOURLY)])
    assert await state.take([Ask("k", Rate(6, 3600))]) is None
    assert await state.take([Ask("k", Rate(3, 3600))]) is not None


async def test_a_short_window_is_over_soon(state: OwnedState) -> None:
    ask = Ask("k", Rate(2, 1))
    assert [await state.take([ask]) for _ in range(2)] == [None, None]

    async def passes() -> bool:
        return await state.take([ask]) is None

    began = asyncio.get_running_loop().time()
    await eventually(passes)
    assert asyncio.get_running_loop().time() - began > 0.8


async def test_no_span_of_the_length_of_a_window_holds_more_than_the_count(state: OwnedState) -> None:
    loop = asyncio.get_running_loop()
    passed: list[tuple[float, float]] = []
    ask = Ask("k", Rate(20, 1))
    end = loop.time() + 2.5
    while loop.time() < end:
        began = loop.time()
        if await state.take([ask]) is None:
            passed.append((began, loop.time()))
        await asyncio.sleep(0.003)
    assert len(passed) > 40
    assert all(later[1] - earlier[0] > 1 for earlier, later in zip(passed, passed[20:], strict=False))


async def test_nothing_asked_is_nothing_refused(state: OwnedState) -> None:
    assert await state.take([]) is None
    assert await state.enter([]) is None
    await state.leave([])
    assert await state.get([]) == []


async def test_places_are_taken_up_to_the_limit_and_given_back(state: OwnedState) -> None:
    place = Place("k", 2)
    assert [await state.enter([place]) for _ in range(3)] == [None, None, place]
    await state.leave(["k"])
    assert [await state.enter([place]) for _ in range(2)] == [None, place]


async def test_all_places_are_taken_or_none(state: OwnedState) -> None:
    free, full = Place("free", 2), Place("full", 1)
    assert await state.enter([full]) is None
    for _ in range(5):
        assert await state.enter([free, full]) == full
    assert [await state.enter([free]) for _ in range(3)] == [None, None, free]


async def test_places_given_back_too_often_stay_at_none(state: OwnedState) -> None:
    await state.leave(["k", "k"])
    assert [await state.enter([Place("k", 1)]) for _ in range(2)] == [None, Place("k", 1)]


async def test_a_limit_of_none_is_full(state: OwnedState) -> None:
    assert await state.enter([Place("k", 0)]) == Place("k", 0)


async def test_values_are_kept_replaced_and_removed(state: OwnedState) -> None:
    await state.put("a", "1", 60)
    await state.put("b", "zwei ☂", 60)
    await state.put("a", "new", 60)
    assert await state.get(["a", "none", "b"]) == ["new", None, "zwei ☂"]
    assert await state.forget("a")
    assert not await state.forget("a")
    assert await state.get(["a"]) == [None]


async def test_values_end_with_their_time(state: OwnedState) -> None:
    await state.put("k", "v", 0.05)

    async def is_gone() -> bool:
        return await state.get(["k"]) == [None]

    await eventually(is_gone)


async def test_the_first_value_stays(state: OwnedState) -> None:
    assert await state.put_first("k", "first", 60) is None
    assert await state.put_first("k", "second", 60) == "first"
    assert await state.get(["k"]) == ["first"]


async def test_a_number_grows_and_ends_with_the_time_of_its_beginning(state: OwnedState) -> None:
    assert await state.add("n", 2, 100) == 2
    assert await state.add("n", 3, 10_000) == 5
    assert await state.get(["n"]) == ["5"]
    (entry,) = await state.find("n", 1)
    assert 90 < entry.left_s <= 100


async def test_keys_are_found_by_their_beginning_in_order(state: OwnedState) -> None:
    for key in ["ban:c", "ban:a", "ban:b", "bun:x", "xban:a"]:
        await state.put(key, f"of {key}", 60)
    await state.take([Ask("ban:rate", HOURLY)])
    await state.enter([Place("ban:place", 1)])
    found = await state.find("ban:", 10)
    assert [(entry.key, entry.value) for entry in found] == [(f"ban:{name}", f"of ban:{name}") for name in "abc"]
    assert all(55 < entry.left_s <= 60 for entry in found)
    assert [entry.key for entry in await state.find("ban:", 2)] == ["ban:a", "ban:b"]
    assert await state.find("none:", 10) == []


@pytest.mark.parametrize("sign", list("*?[]\\^-☂"))
async def test_signs_of_a_prefix_mean_themselves(state: OwnedState, sign: str) -> None:
    await state.put(f"{sign}:k", "v", 60)
    await state.put("x:k", "v", 60)
    assert [entry.key for entry in await state.find(f"{sign}:", 10)] == [f"{sign}:k"]


async def test_many_keys_are_found(state: OwnedState) -> None:
    for number in range(2500):
        await state.put(f"k:{number:04}", "v", 60)
    assert [entry.key for entry in await state.find("k:", 1200)] == [f"k:{number:04}" for number in range(1200)]


# ---- several workers on one Redis


@pytest.fixture
async def workers(redis_server: RedisServer) -> AsyncIterator[list[FallbackState]]:
    workers = [FallbackState(redis_server.settings) for _ in range(2)]
    for worker in workers:
        await worker.start()
    await eventually(lambda: both_up(workers))
    yield workers
    for worker in workers:
        await worker.close()


async def test_two_workers_enforce_one_rate_exactly(workers: list[FallbackState]) -> None:
    rate = Rate(77, 3600)
    results = await asyncio.gather(*[workers[number % 2].take([Ask("k", rate)]) for number in range(200)])
    assert results.count(None) == 77


async def test_two_workers_share_places_exactly(workers: list[FallbackState]) -> None:
    place = Place("k", 33)
    results = await asyncio.gather(*[workers[number % 2].enter([place]) for number in range(200)])
    assert results.count(None) == 33
    mine = [worker._redis._places.count("k") for worker in workers]
    await asyncio.gather(
        *[worker.leave(["k"]) for worker, count in zip(workers, mine, strict=True) for _ in range(count)]
    )
    results = await asyncio.gather(*[workers[number % 2].enter([place]) for number in range(50)])
    assert results.count(None) == 33


async def test_places_of_a_worker_that_closed_are_free_at_once(workers: list[FallbackState]) -> None:
    await workers[0].enter([Place("k", 1)])
    assert await workers[1].enter([Place("k", 1)]) is not None
    await workers[0].close()
    assert await workers[1].enter([Place("k", 1)]) is None


async def test_places_of_a_worker_that_died_become_free_within_fifteen_seconds(workers: list[FallbackState]) -> None:
    dead = workers[0]._redis
    await dead.enter([Place("k", 1)])
    assert dead._beating is not None
    dead._beating.cancel()
    assert await workers[1].enter([Place("k", 1)]) is not None

    async def is_free() -> bool:
        await asyncio.sleep(0.2)
        return await workers[1].enter([Place("k", 1)]) is None

    await eventually(is_free, within_s=15)


async def test_places_of_a_worker_that_lives_are_kept(redis_server: RedisServer, workers: list[FallbackState]) -> None:
    """As if another worker had taken it for dead while it was only slow."""
    await workers[0].enter([Place("k", 1)])
    redis_server.run("hdel", "gatepost:places:k", workers[0]._redis._presence.name)

    async def is_told_again() -> bool:
        return redis_server.run("hvals", "gatepost:places:k") == "1"

    await eventually(is_told_again)
    assert await workers[1].enter([Place("k", 1)]) is not None


async def test_a_wrong_figure_is_put_right_by_two_beats(
    redis_server: RedisServer, workers: list[FallbackState]
) -> None:
    redis = workers[0]._redis
    await redis.enter([Place("k", 9)])
    redis_server.run("hset", "gatepost:places:k", redis._presence.name, "8")
    for _ in range(2):
        await redis._beat_once()
    assert redis_server.run("hvals", "gatepost:places:k") == "1"


async def test_a_place_that_redis_was_told_of_too_late_is_taken_back(
    redis_server: RedisServer, workers: list[FallbackState]
) -> None:
    redis = workers[0]._redis
    await redis.enter([Place("k", 1)])
    await redis._beat_once()
    await redis.leave(["k"])
    redis_server.run("hset", "gatepost:places:k", redis._presence.name, "1")
    await redis._beat_once()
    assert await workers[1].enter([Place("k", 1)]) is None


async def test_a_beat_tells_of_thousands_of_places(workers: list[FallbackState]) -> None:
    for number in range(1700):
        await workers[0].enter([Place(f"k{number}", 1)])
    await workers[0]._redis._beat_once()
    assert await workers[1].enter([Place("k1699", 1)]) is not None


async def test_asks_given_up_half_way_leave_nothing_wrong(workers: list[FallbackState]) -> None:
    asks = [asyncio.create_task(workers[0].enter([Place("k", 500)])) for _ in range(200)]
    for _ in range(3):
        await asyncio.sleep(0)
    for ask in asks[::2]:
        ask.cancel()
    results = await asyncio.gather(*asks, return_exceptions=True)
    entered = results.count(None)
    assert 100 <= entered < 200
    for number in range(20):
        await workers[0].put(f"v{number}", str(number), 60)
        assert await workers[0].get([f"v{number}"]) == [str(number)]
    await workers[0]._redis._beat_once()
    others = await asyncio.gather(*[workers[1].enter([Place("k", 250)]) for _ in range(200)])
    assert others.count(None) == 250 - entered


# ---- Redis goes away


async def test_counting_goes_on_without_redis_and_comes_back_to_it(redis_server: RedisServer) -> None:
    workers = [FallbackState(redis_server.settings) for _ in range(2)]
    for worker in workers:
        await worker.start()
    await eventually(lambda: both_up(workers))
    server = f"127.0.0.1:{redis_server.port}"
    up = {"server": server}
    ask = Ask("k", HOURLY)
    assert REGISTRY.get_sample_value("gatepost_shared_state_up", up) == 1
    before = REGISTRY.get_sample_value("gatepost_shared_state_fallbacks_total", {"what": "take"}) or 0
    with structlog.testing.capture_logs() as lines:
        redis_server.kill()
        # Each for itself, now: five and five.
        results = [await worker.take([ask]) for worker in workers for _ in range(7)]
        assert results.count(None) == 10
        for worker in workers:
            for refused in [worker.get(["k"]), worker.put("k", "v", 60), worker.put_first("k", "v", 60)]:
                with pytest.raises(StateUnavailable):
                    await refused
            for refused_too in [worker.add("k", 1, 60), worker.forget("k"), worker.find("k", 1)]:
                with pytest.raises(StateUnavailable):
                    await refused_too
        assert REGISTRY.get_sample_value("gatepost_shared_state_up", up) == 0
        after = REGISTRY.get_sample_value("gatepost_shared_state_fallbacks_total", {"what": "take"}) or 0
        assert after - before == 14

        redis_server.start()
        await eventually(lambda: both_up(workers))
        assert REGISTRY.get_sample_value("gatepost_shared_state_up", up) == 1
        results = [await worker.take([ask]) for worker in workers for _ in range(7)]
        assert results.count(None) == 5
    events = [line["event"] for line in lines]
    assert events == ["shared-state-lost"] * 2 + ["shared-state-back"] * 2
    for worker in workers:
        await worker.close()


async def test_places_taken_before_and_in_an_outage_are_shared_after_it(
    redis_server: RedisServer, workers: list[FallbackState]
) -> None:
    first, second = workers
    place = Place("k", 3)
    assert await first.enter([place]) is None
    redis_server.kill()
    # What it holds already counts in its own memory, too.
    assert [await first.enter([place]) for _ in range(3)] == [None, None, place]
    await first.leave(["k"])
    redis_server.start()
    await eventually(lambda: both_up(workers))
    await first._redis._beat_once()
    # Two of the first's, one of the second's.
    assert [await second.enter([place]) for _ in range(2)] == [None, place]
    await first.leave(["k"])
    await first.leave(["k"])
    assert [await second.enter([place]) for _ in range(3)] == [None, None, place]
    for _ in range(3):
        await second.leave(["k"])
    assert redis_server.run("keys", "gatepost:places:*") == ""


async def test_a_place_given_back_in_an_outage_is_free_after_it(
    redis_server: RedisServer, workers: list[FallbackState]
) -> None:
    """Redis stays as it was: only this worker could not reach it."""
    first, second = workers
    assert await first.enter([Place("k", 1)]) is None
    assert first._redis._link._wire is not None
    first._redis._link._lose(first._redis._link._wire, OSError("unreachable"))
    await first.leave(["k"])
    assert await second.enter([Place("k", 1)]) is not None
    await eventually(lambda: both_up(workers))
    assert await second.enter([Place("k", 1)]) is None


async def test_redis_that_does_not_answer_delays_nobody_twice(
    redis_server: RedisServer, workers: list[FallbackState]
) -> None:
    loop = asyncio.get_running_loop()
    redis_server.freeze()
    began = loop.time()
    await asyncio.gather(*[workers[0].take([Ask("k", HOURLY)]) for _ in range(100)])
    assert 0.2 < loop.time() - began < 1
    began = loop.time()
    for _ in range(100):
        await workers[0].take([Ask("k", HOURLY)])
    assert loop.time() - began < 0.2
    redis_server.thaw()
    await eventually(lambda: both_up(workers))
    assert await workers[0].take([Ask("new", HOURLY)]) is None


async def test_a_redis_that_comes_later_is_used_then(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    state = FallbackState(server.settings)
    await state.start()
    assert await state.enter([Place("k", 1)]) is None
    try:
        server.start()
        await eventually(lambda: both_up([state]))
        assert await state.enter([Place("k", 1)]) is not None
        await state.leave(["k"])
        assert await state.enter([Place("k", 1)]) is None
        await state.close()
    finally:
        server.kill()


async def test_a_flush_in_between_breaks_nothing(redis_server: RedisServer, workers: list[FallbackState]) -> None:
    first, second = workers
    place = Place("k", 3)
    for worker in workers:
        assert await worker.enter([place]) is None
        await worker.take([Ask("k", HOURLY)])
    redis_server.run("flushall")
    redis_server.run("script", "flush")
    assert await first.take([Ask("k", HOURLY)]) is None
    await first.leave(["k"])
    assert await first.get(["k"]) == [None]
    assert redis_server.run("hvals", "gatepost:places:k") == ""
    # The second knows what it holds: one, and now two more.
    assert [await second.enter([place]) for _ in range(3)] == [None, None, place]
    assert await first.enter([place]) == place
    assert await both_up(workers)


async def test_a_restart_that_lost_everything_is_mended_by_the_beat(
    redis_server: RedisServer, workers: list[FallbackState]
) -> None:
    first, second = workers
    assert await first.enter([Place("k", 1)]) is None
    redis_server.restart()

    async def is_full() -> bool:
        return redis_server.run("hvals", "gatepost:places:k") == "1"

    await eventually(is_full)
    await eventually(lambda: both_up(workers))
    assert await second.enter([Place("k", 1)]) is not None


async def test_after_all_that_may_happen_no_place_is_left_over(
    redis_server: RedisServer, workers: list[FallbackState]
) -> None:
    """Sessions come and go, some are cut off in the middle, while Redis is flushed, killed and frozen."""
    chance = random.Random(20)
    places = [Place(f"k{number}", 20) for number in range(5)]

    async def session() -> None:
        state = chance.choice(workers)
        wanted = chance.sample(places, 2)
        await asyncio.sleep(chance.random() * 3)
        if await state.enter(wanted) is None:
            try:
                await asyncio.sleep(chance.random() * 0.3)
            finally:
                await state.leave([place.key for place in wanted])

    sessions = [asyncio.create_task(session()) for _ in range(600)]
    for trouble in [
        lambda: redis_server.run("flushall"),
        redis_server.kill,
        redis_server.start,
        lambda: redis_server.run("script", "flush"),
        redis_server.freeze,
        redis_server.thaw,
    ]:
        await asyncio.sleep(0.5)
        trouble()
        for victim in chance.sample(sessions, 40):
            victim.cancel()
    await asyncio.gather(*sessions, return_exceptions=True)
    await eventually(lambda: both_up(workers))
    for _ in range(2):
        for worker in workers:
            await worker._redis._beat_once()
    assert [worker._redis._places.keys() for worker in workers] == [set(), set()]
    for place in places:
        assert [await workers[1].enter([place]) for _ in range(21)] == [None] * 20 + [place]


async def test_a_loop_that_stood_still_is_no_outage(workers: list[FallbackState]) -> None:
    """What waits when the loop goes on is an answer, not silence."""
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            asking = [asyncio.create_task(workers[0].get(["k"])) for _ in range(20)]
            await asyncio.sleep(0)
            time.sleep(0.6)
            assert await asyncio.gather(*asking) == [[None]] * 20
    assert lines == []


# ---- passwords and certificates


async def test_password_and_certificate_are_asked_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ca, chain, key = tmp_path / "ca.pem", tmp_path / "chain.pem", tmp_path / "key.pem"
    ca.write_bytes(authority.certificate_pem)
    certificate, private = authority.server_certificate("redis", ("127.0.0.1", "redis"))
    chain.write_bytes(certificate)
    key.write_bytes(private)
    (tls_port,) = free_ports(1)
    server = RedisServer(
        tmp_path,
        [
            "requirepass secret",
            f"tls-port {tls_port}",
            f"tls-cert-file {chain}",
            f"tls-key-file {key}",
            "tls-auth-clients no",
        ],
    )
    server.start()
    right = {"port": tls_port, "password": "secret", "tls": True, "ca_file": ca}
    try:
        assert await reaches(right)
        assert await reaches({"port": server.port, "password": "secret"})
        assert not await reaches({"port": server.port})
        assert not await reaches({**right, "password": "wrong"})
        assert not await reaches({**right, "ca_file": None})
        assert not await reaches({**right, "host": "localhost"})
    finally:
        server.kill()


async def reaches(settings: dict[str, object]) -> bool:
    state = RedisState(RedisSettings.model_validate(settings))
    await state.start()
    try:
        return state.is_up
    finally:
        await state.close()
