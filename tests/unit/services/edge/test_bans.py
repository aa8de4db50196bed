"""Rules of bans: points, escalation, who is never banned, and what holds while the state is away."""

from collections.abc import Sequence

import structlog

from services.edge.bans import Bans
from services.edge.decide.refusal import RefusalReason
from services.edge.session import Session
from shared.bans import ban_key
from shared.event import EventKind
from shared.policy import Listener, Purpose, parse_policy
from shared.state.memory import MemoryState
from shared.state.port import StateUnavailable
from tests.fakes import FakeEvents

POLICY = parse_policy("""
[bans]
threshold = 10
window_s = 100
first_s = 60
escalation = 4
longest_s = 600
memory_s = 100000
[relay]
networks = ["10.0.0.0/8"]
""")
CLIENT = "192.0.2.7"


class Shared(MemoryState):
    """State that counts how often it is read, and can be away."""

    def __init__(self, clock: "Clock") -> None:
        super().__init__(clock)
        self.reads = 0
        self.away = False

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        self.reads += 1
        self._reach()
        return await super().get(keys)

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        self._reach()
        return await super().add(key, amount, ttl_s)

    def _reach(self) -> None:
        if self.away:
            raise StateUnavailable("connection refused")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Edges that share one state."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.state = Shared(self.clock)
        self.events = FakeEvents()
        self.bans = self.another()

    def another(self) -> Bans:
        return Bans(self.state, self.events, self.clock)

    async def punish(self, points: int, address: str = CLIENT) -> None:
        await self.bans.punish(address, points, "bad-line", POLICY)

    async def left_s(self, address: str = CLIENT) -> float | None:
        return await self.bans.is_banned(address, POLICY)


async def test_points_up_to_the_threshold_ban() -> None:
    gate = Gate()
    await gate.punish(9)
    assert await gate.left_s() is None
    await gate.punish(1)
    assert await gate.left_s() == 60
    assert await gate.left_s("192.0.2.8") is None


async def test_points_are_forgotten_after_the_window() -> None:
    gate = Gate()
    await gate.punish(9)
    gate.clock.now += 101
    await gate.punish(9)
    assert await gate.left_s() is None


async def test_a_ban_ends_and_the_next_one_is_longer_up_to_the_longest() -> None:
    gate = Gate()
    lengths = []
    for _ in range(4):
        await gate.punish(10)
        lengths.append(await gate.left_s())
        gate.clock.now += 601
        assert await gate.left_s() is None
    assert lengths == [60, 240, 600, 600]


async def test_earlier_bans_are_forgotten_in_time() -> None:
    gate = Gate()
    await gate.punish(10)
    gate.clock.now += 100_001
    await gate.punish(10)
    assert await gate.left_s() == 60


async def test_sessions_that_go_on_failing_under_a_ban_do_not_make_it_longer() -> None:
    gate = Gate()
    for _ in range(20):
        await gate.punish(10)
    assert await gate.left_s() == 60
    assert len(gate.events.told) == 1


async def test_a_ban_is_told_once_with_its_facts() -> None:
    gate = Gate()
    with structlog.testing.capture_logs() as logs:
        await gate.punish(25)
    ((ban_id, kind, facts),) = gate.events.told
    assert kind is EventKind.BANNED
    assert facts == {"client": CLIENT, "until": gate.clock.now + 60, "why": "bad-line", "count": 1}
    assert [(entry["event"], entry["id"], entry["for_s"]) for entry in logs] == [("banned", ban_id, 60)]


async def test_an_ipv6_host_is_banned_with_its_64() -> None:
    gate = Gate()
    await gate.punish(5, "2001:db8::1")
    await gate.punish(5, "2001:db8::2")
    assert await gate.left_s("2001:db8::3") == 60
    assert await gate.left_s("2001:db8:0:1::3") is None


async def test_loopback_and_hosts_that_may_relay_are_never_banned() -> None:
    gate = Gate()
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3"):
        await gate.punish(1000, address)
        assert await gate.left_s(address) is None
    assert gate.events.told == []


async def test_switched_off_nobody_is_banned() -> None:
    gate, off = Gate(), parse_policy("[bans]\nenabled = false")
    await gate.punish(10)
    assert await gate.bans.is_banned(CLIENT, off) is None
    await gate.bans.punish("192.0.2.8", 1000, "x", off)
    assert await gate.left_s("192.0.2.8") is None


async def test_a_crowd_of_connections_asks_the_state_once() -> None:
    gate = Gate()
    for _ in range(100):
        await gate.left_s()
    assert gate.state.reads == 1


async def test_what_another_edge_bans_or_an_administrator_lifts_is_seen_within_five_seconds() -> None:
    gate = Gate()
    other = gate.another()
    assert await other.is_banned(CLIENT, POLICY) is None
    await gate.punish(10)
    gate.clock.now += 4
    assert await other.is_banned(CLIENT, POLICY) == 56
    await gate.state.forget(ban_key(CLIENT))
    gate.clock.now += 4
    assert await other.is_banned(CLIENT, POLICY) is None
    assert await gate.left_s() is None


async def test_what_is_kept_of_answers_has_a_bound() -> None:
    gate = Gate()
    for number in range(11_000):
        await gate.left_s(f"192.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(gate.bans._known) <= 10_000


async def test_while_the_state_is_away_bans_stand_aside_and_say_so_once() -> None:
    gate = Gate()
    gate.state.away = True
    with structlog.testing.capture_logs() as logs:
        for number in range(5):
            assert await gate.left_s(f"192.0.2.{number}") is None
            await gate.punish(1000)
        gate.state.away = False
        assert await gate.left_s("192.0.2.77") is None
        assert await gate.left_s("192.0.2.78") is None
    assert [entry["event"] for entry in logs] == ["bans-stand-aside", "bans-work-again"]


async def test_a_ban_that_is_known_holds_while_the_state_is_away() -> None:
    gate = Gate()
    await gate.punish(10)
    gate.state.away = True
    gate.clock.now += 30
    assert await gate.left_s() == 30
    gate.clock.now += 31
    assert await gate.left_s() is None


def test_a_refusal_is_worth_points_where_the_client_is_a_stranger() -> None:
    gate = Gate()
    session = Session("mx", Listener(purpose=Purpose.INBOUND), CLIENT, 1)
    assert gate.bans.points(session, RefusalReason.EARLY_TALKER, POLICY) == 20
    assert gate.bans.points(session, RefusalReason.GREYLISTED, POLICY) == 0
    session.trusted = True
    assert gate.bans.points(session, RefusalReason.EARLY_TALKER, POLICY) == 0
    session.trusted = False
    assert gate.bans.points(session, RefusalReason.EARLY_TALKER, parse_policy("[bans]\nenabled = false")) == 0
