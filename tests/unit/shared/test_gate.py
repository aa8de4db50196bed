"""Rules of the gate before metrics and console: access rules first, then bans; its own host always sees its health."""

import pytest

from shared.bans import Ban, ban_key, encode_ban
from shared.gate import Gate
from shared.policy import Policy, parse_policy
from shared.policy.access import Service
from shared.state.memory import MemoryState
from shared.state.port import StateUnavailable
from tests.fakes import FixedPolicy

NOW = 1_800_000_000.0
DENY_ALL = "[[access]]\naction = 'deny'\n"
ALLOW_OFFICE = "[[access]]\naction = 'allow'\nnetworks = ['192.0.2.0/24']\n"


class NoPolicy:
    """A process that has not read its policy yet."""

    @property
    def policy(self) -> Policy:
        raise LookupError("no policy yet")


class Away(MemoryState):
    """A state that cannot be reached."""

    async def get(self, keys: object) -> list[str | None]:
        raise StateUnavailable("away")


def gate(text: str, state: MemoryState | None = None) -> Gate:
    return Gate(FixedPolicy(parse_policy(text)), state, clock=lambda: NOW)


async def banned(address: str = "192.0.2.7", for_s: float = 60) -> MemoryState:
    state = MemoryState()
    await state.put(ban_key(address), encode_ban(Ban(NOW + for_s, "x", NOW, 1)), 1e6)
    return state


@pytest.mark.parametrize(
    ("text", "address", "admitted"),
    [
        ("", "198.51.100.1", True),
        (DENY_ALL, "198.51.100.1", False),
        (ALLOW_OFFICE + DENY_ALL, "192.0.2.7", True),
        (ALLOW_OFFICE + DENY_ALL, "::ffff:192.0.2.7", True),
        (ALLOW_OFFICE + DENY_ALL, "198.51.100.1", False),
        (ALLOW_OFFICE + DENY_ALL, "2001:db8::1", False),
        (DENY_ALL + "services = ['smtp']", "198.51.100.1", True),
        (DENY_ALL + "services = ['metrics']", "198.51.100.1", False),
        (DENY_ALL + "helo_names = ['x']", "198.51.100.1", True),
        *[(DENY_ALL.replace("deny", action), "198.51.100.1", False) for action in ("defer", "drop", "tarpit")],
        ("", "no address", False),
    ],
)
async def test_the_access_rules_hold(text: str, address: str, admitted: bool) -> None:
    assert await gate(text).admits(address, Service.METRICS) is admitted


async def test_its_own_host_always_sees_health_and_metrics_but_not_the_console() -> None:
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert await gate(DENY_ALL).admits(address, Service.METRICS)
        assert not await gate(DENY_ALL).admits(address, Service.CONSOLE)
    assert not await gate(DENY_ALL).admits("127.0.0.2", Service.METRICS)


async def test_while_no_policy_is_known_everybody_is_admitted() -> None:
    assert await Gate(NoPolicy(), await banned()).admits("192.0.2.7", Service.METRICS)


async def test_a_banned_address_is_not_admitted_unless_a_rule_allows_it() -> None:
    state = await banned()
    assert not await gate("", state).admits("192.0.2.7", Service.CONSOLE)
    assert await gate("", state).admits("192.0.2.8", Service.CONSOLE)
    assert await gate(ALLOW_OFFICE, state).admits("192.0.2.7", Service.CONSOLE)
    assert await gate("[bans]\nenabled = false", state).admits("192.0.2.7", Service.CONSOLE)
    assert await gate("[bans]\nnever = ['192.0.2.7/32']", state).admits("192.0.2.7", Service.CONSOLE)


async def test_a_ban_that_is_over_or_cannot_be_read_is_none() -> None:
    assert await gate("", await banned(for_s=0)).admits("192.0.2.7", Service.METRICS)
    state = MemoryState()
    await state.put(ban_key("192.0.2.7"), "?", 60)
    assert await gate("", state).admits("192.0.2.7", Service.METRICS)


async def test_without_a_state_or_while_it_is_away_nobody_counts_as_banned() -> None:
    assert await gate("").admits("192.0.2.7", Service.METRICS)
    assert await gate("", Away()).admits("192.0.2.7", Service.METRICS)
