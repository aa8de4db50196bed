"""Rules of throttled logins: guesses are put off, and nobody can lock somebody else out."""

from services.edge import throttle
from services.edge.throttle import LoginThrottle
from shared.state.memory import MemoryState
from shared.state.port import StateUnavailable


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Away(MemoryState):
    """A state that cannot be reached."""

    async def get(self, keys: object) -> list[str | None]:
        raise StateUnavailable("away")

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        raise StateUnavailable("away")

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        raise StateUnavailable("away")

    async def forget(self, key: str) -> bool:
        raise StateUnavailable("away")


async def fail(watch: LoginThrottle, address: str, login: str, times: int) -> None:
    for _ in range(times):
        await watch.failed(address, login)


async def test_guesses_from_one_network_are_put_off_for_a_while() -> None:
    clock = Clock()
    watch = LoginThrottle(MemoryState(clock))
    await fail(watch, "192.0.2.7", "Anna", throttle.NEAR - 1)
    assert await watch.may_try("192.0.2.7", "anna")
    await fail(watch, "192.0.2.99", "anna", 1)
    assert not await watch.may_try("192.0.2.7", "ANNA")
    assert await watch.may_try("192.0.2.7", "bert")
    clock.now += throttle.NEAR_S + 1
    assert await watch.may_try("192.0.2.7", "anna")


async def test_failures_elsewhere_do_not_lock_anybody_out() -> None:
    watch = LoginThrottle(MemoryState())
    await fail(watch, "203.0.113.1", "anna", throttle.NEAR + 5)
    assert not await watch.may_try("203.0.113.1", "anna")
    assert await watch.may_try("192.0.2.7", "anna")


async def test_a_list_tried_from_everywhere_is_put_off_but_not_where_the_user_is_known() -> None:
    watch = LoginThrottle(MemoryState())
    await watch.succeeded("192.0.2.7", "anna")
    for number in range(throttle.ANYWHERE):
        await watch.failed(f"203.0.{number % 200}.1", "anna")
    assert not await watch.may_try("198.51.100.1", "anna")
    assert await watch.may_try("192.0.2.200", "Anna")


async def test_attempts_that_name_nobody_lock_out_nobody() -> None:
    watch = LoginThrottle(MemoryState())
    await fail(watch, "192.0.2.7", "", 2 * throttle.ANYWHERE)
    assert await watch.may_try("192.0.2.7", "")


async def test_a_success_forgets_the_failures_around_it() -> None:
    watch = LoginThrottle(MemoryState())
    await fail(watch, "192.0.2.7", "anna", throttle.NEAR - 1)
    await watch.succeeded("192.0.2.7", "anna")
    await fail(watch, "192.0.2.7", "anna", throttle.NEAR - 1)
    assert await watch.may_try("192.0.2.7", "anna")


async def test_while_the_state_is_away_nobody_is_held_back() -> None:
    watch = LoginThrottle(Away())
    await watch.failed("192.0.2.7", "anna")
    await watch.succeeded("192.0.2.7", "anna")
    assert await watch.may_try("192.0.2.7", "anna")
