"""Greylisting over the state in memory: what passes, what is learned, what is unlearned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog.testing

from services.edge.greylist import ASIDE, Greylist
from services.edge.session import Session
from shared.accounts import Account
from shared.dns.answer import Answer
from shared.dns.resolver import CachingResolver
from shared.policy import Listener, Policy, Purpose, parse_policy
from shared.state.memory import MemoryState
from shared.state.port import StateUnavailable
from shared.verdict import Action

ZONE = """
$ORIGIN test.
@ SOA ns.test. hostmaster.test. 1 3600 600 86400 300
codes TXT "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ip4:203.0.113.0/24 -all"
bare A 192.0.2.1
"""
POLICY = """
[greylist]
enabled = true
wait_s = 60
retry_within_s = 3600
allow_after = 3
remember_s = 36000
[domains."ours.test"]
route = "mx"
recipients = "any"
[domains."calm.test"]
route = "mx"
recipients = "any"
greylisting = false
[domains."sister.test"]
route = "mx"
recipients = "any"
"""
SENDER, BOB = "x@bare.test", "bob@ours.test"


class CountingState(MemoryState):
    """State in memory that may be away, and counts what it is asked."""

    def __init__(self, world: "World") -> None:
        super().__init__(lambda: world.now)
        self.away = False
        self.gets: list[list[str]] = []
        self.writes = 0

    def _ask(self, writes: int) -> None:
        if self.away:
            raise StateUnavailable("gone")
        self.writes += writes

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        self._ask(0)
        self.gets.append(list(keys))
        return await super().get(keys)

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        self._ask(1)
        await super().put(key, value, ttl_s)

    async def put_first(self, key: str, value: str, ttl_s: float) -> str | None:
        self._ask(1)
        return await super().put_first(key, value, ttl_s)

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        self._ask(1)
        return await super().add(key, amount, ttl_s)

    async def forget(self, key: str) -> bool:
        self._ask(1)
        return await super().forget(key)


class CountingResolver:
    """Zone files, and how often they were asked."""

    def __init__(self, zone: Path) -> None:
        self._inner = CachingResolver([], [zone])
        self.asked = 0

    async def lookup(self, name: str, rdtype: str) -> Answer:
        self.asked += 1
        return await self._inner.lookup(name, rdtype)

    def cached(self, name: str, rdtype: str) -> Answer | None:
        self.asked += 1
        return self._inner.cached(name, rdtype)


@dataclass
class World:
    """An edge's greylisting, its clock, and what it stands on."""

    zone: Path
    policy: Policy = field(default_factory=lambda: parse_policy(POLICY))
    now: float = 1_700_000_000.0

    def __post_init__(self) -> None:
        self.state = CountingState(self)
        self.resolver = CountingResolver(self.zone)
        self.greylist = self.another()

    def another(self) -> Greylist:
        """Return another edge over the same state."""
        return Greylist(state=self.state, resolver=self.resolver, hostname="gate.test", clock=lambda: self.now)

    async def asks(self, address: str = "192.0.2.1", sender: str = SENDER, recipient: str = BOB) -> bool:
        """Whether a client is asked to come again."""
        refusal = await self.greylist.judge(client(address), sender, recipient, self.policy)
        assert refusal is None or str(refusal.reply).startswith("450 4.7.1 Greylisted, try again in ")
        return refusal is not None

    async def answered(
        self,
        verdict: Action | None,
        address: str = "192.0.2.1",
        sender: str = SENDER,
        recipients: Sequence[str] = (BOB,),
        session: Session | None = None,
    ) -> None:
        """A message was answered, and what it tells is learned."""
        self.greylist.learn(session or client(address), sender, recipients, verdict, self.policy)
        await self.greylist.close(10)

    async def sent(
        self, recipients: Sequence[str], sender: str = "alice@ours.test", verdict: Action | None = None
    ) -> None:
        """Alice sent something."""
        session = client("10.0.0.9")
        session.account = Account("alice", "")
        await self.answered(verdict, sender=sender, recipients=recipients, session=session)


def client(address: str) -> Session:
    return Session("mx", Listener(purpose=Purpose.INBOUND), address, 1, host_name="mail.away.test")


@pytest.fixture
def world(tmp_path: Path) -> World:
    zone = tmp_path / "test.zone"
    zone.write_text(ZONE)
    return World(zone)


# ---- tries


async def test_a_first_try_waits_and_its_retry_passes(world: World) -> None:
    assert await world.asks()
    world.now += 59
    assert await world.asks()
    world.now += 1
    assert not await world.asks()
    world.now += 35_000
    assert not await world.asks(), "what passed is remembered"


async def test_the_reply_tells_how_long_to_wait(world: World) -> None:
    first = await world.greylist.judge(client("192.0.2.1"), SENDER, BOB, world.policy)
    world.now += 20.5
    second = await world.greylist.judge(client("192.0.2.1"), SENDER, BOB, world.policy)
    assert first is not None
    assert second is not None
    assert first.reply.text == "Greylisted, try again in 60 seconds"
    assert second.reply.text == "Greylisted, try again in 40 seconds"


async def test_a_retry_from_the_same_network_passes_and_from_another_begins_anew(world: World) -> None:
    assert await world.asks("192.0.2.1")
    assert await world.asks("198.51.100.1")
    world.now += 60
    assert not await world.asks("192.0.2.77")
    assert await world.asks("203.0.113.1")


async def test_a_retry_that_comes_too_late_begins_anew(world: World) -> None:
    assert await world.asks()
    world.now += 3601
    assert await world.asks()
    world.now += 60
    assert not await world.asks()


async def test_a_stricter_policy_holds_for_tries_remembered_under_the_old_one(world: World) -> None:
    assert await world.asks()
    world.policy = parse_policy(POLICY.replace("retry_within_s = 3600", "retry_within_s = 120"))
    world.now += 121
    assert await world.asks(), "too late by the rules of now"
    world.now += 60
    assert not await world.asks()


async def test_a_first_try_is_remembered_no_longer_than_its_retry_counts(world: World) -> None:
    await world.asks()
    assert [entry.left_s for entry in await world.state.find("greylist:", 10)] == [3600]


async def test_what_keeps_coming_is_remembered_for_good(world: World) -> None:
    await world.asks()
    world.now += 60
    for _ in range(10):
        assert not await world.asks()
        world.now += 30_000


async def test_a_sender_in_regular_use_is_not_written_with_each_message(world: World) -> None:
    await world.asks()
    world.now += 60
    await world.asks()
    writes = world.state.writes
    for _ in range(10):
        assert not await world.asks()
    assert world.state.writes == writes


async def test_the_null_sender_waits_like_any_other(world: World) -> None:
    assert await world.asks(sender="")
    world.now += 60
    assert not await world.asks(sender="")


async def test_switched_off_nothing_is_looked_up_nor_learned(world: World) -> None:
    world.policy = parse_policy(POLICY.replace("enabled = true", "enabled = false"))
    assert not await world.asks()
    await world.answered(Action.ACCEPT)
    await world.sent(["jo@away.test"])
    assert (world.state.gets, world.state.writes, world.resolver.asked) == ([], 0, 0)


async def test_exempt_mail_costs_no_look_up(world: World) -> None:
    assert not await world.asks(recipient="postmaster@ours.test")
    assert not await world.asks(recipient="bob@calm.test")
    assert world.state.gets == []


async def test_a_try_costs_one_look_up_of_several_keys_and_no_dns(world: World) -> None:
    assert await world.asks()
    assert [len(keys) for keys in world.state.gets] == [4]
    assert world.resolver.asked == 0


async def test_two_edges_that_see_a_first_try_at_once_note_it_once(world: World) -> None:
    key = "greylist:try:race"
    assert (await world.greylist._begin(key, None, world.now, world.policy.greylist)).left_s == 60
    world.now += 10
    assert (await world.another()._begin(key, None, world.now, world.policy.greylist)).left_s == 50


# ---- networks


async def test_a_network_that_sent_clean_mail_is_no_longer_asked(world: World) -> None:
    for number in range(3):
        assert await world.asks(sender=f"{'abc'[number]}@bare.test")
        await world.answered(Action.ACCEPT)
    assert not await world.asks("192.0.2.200", sender="new@else.test")
    assert await world.asks("192.0.3.1", sender="new@else.test")


async def test_each_success_prolongs_how_long_a_network_is_known(world: World) -> None:
    for _ in range(3):
        await world.answered(Action.ACCEPT)
    for _ in range(5):
        world.now += 30_000
        assert not await world.asks(sender="new@else.test")
        await world.answered(Action.ACCEPT)
    world.now += 36_001
    assert await world.asks(sender="new@else.test")


async def test_a_steady_stream_of_clean_mail_writes_nothing(world: World) -> None:
    for _ in range(4):
        await world.answered(Action.ACCEPT, sender="a@codes.test")
    writes, asked = world.state.writes, world.resolver.asked
    for _ in range(50):
        await world.answered(Action.ACCEPT, sender="a@codes.test")
    assert (world.state.writes, world.resolver.asked) == (writes, asked)


@pytest.mark.parametrize("verdict", [Action.TAG, Action.DEFER, None])
async def test_mail_that_was_not_judged_clean_teaches_nothing(world: World, verdict: Action | None) -> None:
    for _ in range(5):
        await world.answered(verdict, sender="a@codes.test")
    assert world.state.writes == 0


async def test_mail_that_is_never_asked_does_not_make_its_network_known(world: World) -> None:
    for _ in range(5):
        await world.answered(Action.ACCEPT, recipients=["postmaster@ours.test", "bob@calm.test"])
    assert await world.asks()


@pytest.mark.parametrize("verdict", [Action.REFUSE, Action.QUARANTINE])
async def test_a_network_that_sent_something_bad_is_asked_again(world: World, verdict: Action) -> None:
    for _ in range(3):
        await world.answered(Action.ACCEPT)
    assert not await world.asks(sender="new@else.test")
    await world.answered(verdict)
    assert await world.asks(sender="new@else.test")
    for _ in range(3):
        await world.answered(Action.ACCEPT)
    assert not await world.asks(sender="newer@else.test")


# ---- clean senders


async def test_login_codes_of_a_known_service_are_never_delayed(world: World) -> None:
    assert await world.asks("192.0.2.1", "no-reply-1@codes.test")
    world.now += 60
    assert not await world.asks("192.0.2.1", "no-reply-1@codes.test")
    await world.answered(Action.ACCEPT, "192.0.2.1", "no-reply-1@codes.test")
    # From now on: other networks of the service, other senders, other users of ours, days later.
    assert not await world.asks("198.51.100.7", "no-reply-2@codes.test", "carol@ours.test")
    world.now += 30_000
    assert not await world.asks("203.0.113.7", "security@codes.test", "dave@sister.test")


async def test_who_only_says_to_be_a_known_service_is_asked(world: World) -> None:
    await world.answered(Action.ACCEPT, "192.0.2.1", "no-reply@codes.test")
    assert await world.asks("10.66.0.1", "no-reply@codes.test")


async def test_clean_mail_that_fails_spf_teaches_nothing_about_its_domain(world: World) -> None:
    await world.answered(Action.ACCEPT, "10.66.0.1", "no-reply@codes.test")
    assert await world.asks("192.0.2.1", "no-reply@codes.test")


async def test_spf_is_evaluated_once_for_a_burst_of_one_domain(world: World) -> None:
    for _ in range(40):
        world.greylist.learn(client("192.0.2.1"), "a@codes.test", [BOB], Action.ACCEPT, world.policy)
    await world.greylist.close(10)
    once = world.resolver.asked
    assert 0 < once < 10
    await world.answered(Action.ACCEPT, "192.0.2.1", "a@codes.test")
    assert world.resolver.asked == once


async def test_a_domain_without_spf_is_not_asked_for_with_each_message(world: World) -> None:
    await world.answered(Action.ACCEPT)
    once = world.resolver.asked
    for _ in range(10):
        await world.asks()
        await world.answered(Action.ACCEPT)
    assert world.resolver.asked == once


async def test_a_known_service_that_sends_something_bad_is_unknown_again(world: World) -> None:
    await world.answered(Action.ACCEPT, "192.0.2.1", "a@codes.test")
    await world.answered(Action.QUARANTINE, "198.51.100.1", "a@codes.test")
    assert await world.asks("203.0.113.1", "a@codes.test")
    await world.answered(Action.ACCEPT, "203.0.113.1", "a@codes.test")
    assert not await world.asks("198.51.100.1", "a@codes.test")


async def test_a_forged_sender_does_not_cost_a_service_its_good_name(world: World) -> None:
    await world.answered(Action.ACCEPT, "192.0.2.1", "a@codes.test")
    await world.answered(Action.REFUSE, "10.66.0.1", "a@codes.test")
    assert not await world.asks("198.51.100.1", "a@codes.test")


async def test_what_another_edge_unlearned_is_learned_again_here(world: World) -> None:
    await world.answered(Action.ACCEPT, "192.0.2.1", "a@codes.test")
    other = world.another()
    other.learn(client("192.0.2.1"), "a@codes.test", [BOB], Action.REFUSE, world.policy)
    await other.close(10)
    assert await world.asks("192.0.2.1", "a@codes.test")
    await world.answered(Action.ACCEPT, "192.0.2.1", "a@codes.test")
    assert not await world.asks("198.51.100.1", "a@codes.test")


# ---- correspondents


async def test_answers_to_mail_of_ours_are_never_delayed(world: World) -> None:
    await world.sent(["jo@away.test", "bob@ours.test"])
    assert not await world.asks(sender="jo@away.test", recipient="alice@ours.test")
    assert not await world.asks(sender="Jo@away.test", recipient="carol@ours.test"), "an answer to all"
    assert await world.asks(sender="jim@away.test", recipient="alice@ours.test")
    assert await world.asks(sender="jo@away.test", recipient="alice@sister.test")


@pytest.mark.parametrize("verdict", [Action.REFUSE, Action.QUARANTINE, Action.DEFER])
async def test_mail_of_ours_that_was_judged_bad_makes_no_correspondents(world: World, verdict: Action) -> None:
    await world.sent(["jo@away.test"], verdict=verdict)
    assert world.state.writes == 0


async def test_mail_among_ourselves_makes_no_correspondents(world: World) -> None:
    await world.sent(["bob@ours.test", "eve@sister.test"])
    assert world.state.writes == 0


async def test_a_sender_that_is_not_ours_makes_no_correspondents(world: World) -> None:
    await world.sent(["jo@away.test"], sender="alice@elsewhere.test")
    await world.sent(["jo@away.test"], sender="")
    assert world.state.writes == 0


async def test_who_is_written_to_often_is_written_down_once(world: World) -> None:
    await world.sent(["jo@away.test"])
    writes = world.state.writes
    await world.sent(["jo@away.test"])
    assert world.state.writes == writes == 2


async def test_a_server_that_verifies_our_sender_by_calling_back_is_answered_at_once(world: World) -> None:
    assert await world.asks(sender="", recipient="alice@ours.test")
    await world.sent(["jo@away.test"])
    assert not await world.asks("203.0.113.1", sender="", recipient="alice@ours.test")
    assert await world.asks("203.0.113.1", sender="", recipient="bob@ours.test")
    world.now += 5 * 86_400 + 1
    assert await world.asks("203.0.113.1", sender="", recipient="alice@ours.test")


# ---- the state is away


async def test_without_the_state_mail_flows_and_it_is_said_once(world: World) -> None:
    counted = ASIDE._value.get()
    world.state.away = True
    with structlog.testing.capture_logs() as lines:
        assert not await world.asks()
        assert not await world.asks()
        await world.answered(Action.ACCEPT)
        await world.answered(Action.REFUSE)
        await world.sent(["jo@away.test"])
        world.state.away = False
        assert await world.asks()
    assert [line["event"] for line in lines] == ["greylisting-stands-aside", "greylisting-goes-on"]
    assert ASIDE._value.get() == counted + 2


async def test_after_an_outage_all_is_learned_again(world: World) -> None:
    await world.sent(["jo@away.test"])
    world.state.away = True
    await world.asks()
    world.state.away = False
    await world.asks()
    writes = world.state.writes
    await world.sent(["jo@away.test"])
    assert world.state.writes == writes + 2
