"""Each key of `bans` over a real socket. Time passes by a clock of the tests' own."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from shared.policy import parse_policy
from shared.state.memory import MemoryState
from tests.integration.edge.gate import Client, Gate, gate
from tests.integration.edge.proxied import CLIENT, client_at, edge_with, greeting, rules

BANNED = "554 5.7.1 Banned after repeated failures, for "


class Clock:
    """The time, for the state and for bans."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


async def fail(edge: Gate, address: str = CLIENT, times: int = 1) -> None:
    """Ask for recipients that do not exist, and wait until it is counted."""
    async with client_at(edge, address) as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        for _ in range(times):
            assert (await client.say("RCPT TO:<nobody@ours.test>")).startswith("550 5.1.1")
    await edge.defences._background.close(5)


def bans_of(edge: Gate) -> list[dict[str, object]]:
    return [facts for _, kind, facts in edge.events.told if kind == "banned"]


async def timed(certificate: Path, text: str, test: Callable[[Gate, Clock], Awaitable[None]]) -> None:
    clock = Clock()
    async with gate(parse_policy(rules(text)), certificate, state=MemoryState(clock)) as edge:
        edge.defences.bans._clock = clock
        await test(edge, clock)


async def test_a_ban_ends_and_the_next_one_is_longer_up_to_the_longest(certificate: Path) -> None:
    async def test(edge: Gate, clock: Clock) -> None:
        for length_s in (100, 300, 500, 500):
            await fail(edge)
            clock.now_s += length_s - 5
            assert (await greeting(edge, CLIENT)).startswith(BANNED)
            clock.now_s += 10
            assert (await greeting(edge, CLIENT)).startswith("220")

    await timed(certificate, "[bans]\nthreshold = 2\nfirst_s = 100\nescalation = 3\nlongest_s = 500\n", test)


async def test_earlier_bans_are_forgotten(certificate: Path) -> None:
    async def test(edge: Gate, clock: Clock) -> None:
        await fail(edge)
        clock.now_s += 1001
        await fail(edge)
        counts = [facts["count"] for facts in bans_of(edge)]
        assert counts == [1, 1]

    await timed(certificate, "[bans]\nthreshold = 2\nfirst_s = 100\nmemory_s = 1000\n", test)


async def test_points_are_forgotten_after_the_window(certificate: Path) -> None:
    async def test(edge: Gate, clock: Clock) -> None:
        await fail(edge)
        clock.now_s += 61
        await fail(edge)
        assert (await greeting(edge, CLIENT)).startswith("220")
        await fail(edge)
        assert (await greeting(edge, CLIENT)).startswith(BANNED)

    await timed(certificate, "[bans]\nthreshold = 4\nwindow_s = 60\n", test)


async def test_a_long_window_remembers(certificate: Path) -> None:
    async def test(edge: Gate, clock: Clock) -> None:
        await fail(edge)
        clock.now_s += 61
        await fail(edge)
        assert (await greeting(edge, CLIENT)).startswith(BANNED)

    await timed(certificate, "[bans]\nthreshold = 4\nwindow_s = 600\n", test)


async def _early(client: Client) -> None:
    await client.reply()


async def _bare_cr(client: Client) -> None:
    await client.reply()
    await client.say(b"EHLO x\rNOOP")


async def _unknown_recipient(client: Client) -> None:
    await client.hello()
    await client.say("MAIL FROM:<x@away.test>")
    await client.say("RCPT TO:<nobody@ours.test>")


async def _relay_try(client: Client) -> None:
    await client.hello()
    await client.say("MAIL FROM:<x@away.test>")
    await client.say("RCPT TO:<x@elsewhere.test>")


@pytest.mark.parametrize(
    ("points", "act"),
    [
        ("refused_points", _unknown_recipient),
        ("refused_points", _relay_try),
        ("abuse_points", _bare_cr),
    ],
)
@pytest.mark.parametrize("worth", [0, 1, 2])
async def test_each_kind_of_failure_has_its_points(
    certificate: Path, points: str, act: Callable[[Client], Awaitable[None]], worth: int
) -> None:
    async with edge_with(certificate, rules(f"[bans]\nthreshold = 2\n{points} = {worth}\n")) as edge:
        async with client_at(edge, CLIENT) as client:
            await act(client)
        await edge.defences._background.close(5)
        assert (await greeting(edge, CLIENT)).startswith(BANNED if worth == 2 else "220")


@pytest.mark.parametrize(("worth", "begins"), [(2, BANNED), (1, "554 5.5.0"), (0, "554 5.5.0")])
async def test_early_talk_is_abuse(certificate: Path, worth: int, begins: str) -> None:
    text = rules(f"[bans]\nthreshold = 2\nabuse_points = {worth}\n").replace("greet_wait_s = 0", "greet_wait_s = 0.3")
    async with edge_with(certificate, text) as edge:
        for expected in ("554 5.5.0", begins):
            async with client_at(edge, CLIENT, then="EHLO early.test\r\n") as client:
                assert (await client.reply()).startswith(expected)
            await edge.defences._background.close(5)


@pytest.mark.parametrize(("worth", "banned"), [(0, False), (2, True)])
async def test_failed_logins_have_their_points(certificate: Path, worth: int, banned: bool) -> None:
    more = 'proxy_from = ["127.0.0.0/8"]\nauth = true\npurpose = "submission"\n'
    text = rules(f"[listeners.submission]\n{more}[bans]\nthreshold = 2\nauth_points = {worth}\n")
    async with edge_with(certificate, text) as edge:
        async with client_at(edge, CLIENT, "submission") as client:
            await client.hello()
            await client.start_tls()
            await client.say("EHLO c.test")
            assert (await client.log_in(password="wrong")).startswith("535")
        await edge.defences._background.close(5)
        # A ban of one listener is a ban of all.
        assert (await greeting(edge, CLIENT)).startswith(BANNED if banned else "220")


async def test_switched_off_nobody_is_banned_and_who_is_gets_in(certificate: Path) -> None:
    async with edge_with(certificate, rules("[bans]\nthreshold = 2\n")) as edge:
        await fail(edge)
        assert (await greeting(edge, CLIENT)).startswith(BANNED)
        edge.policy.policy = parse_policy(rules("[bans]\nthreshold = 2\nenabled = false\n"))
        assert (await greeting(edge, CLIENT)).startswith("220")
        await fail(edge, "198.51.100.9", times=3)
        edge.policy.policy = parse_policy(rules("[bans]\nthreshold = 2\n"))
        assert (await greeting(edge, "198.51.100.9")).startswith("220")


async def test_a_relay_network_is_never_banned(certificate: Path) -> None:
    async with edge_with(certificate, rules('[bans]\nthreshold = 2\n[relay]\nnetworks = ["203.0.113.0/24"]\n')) as edge:
        await fail(edge, times=3)
        assert (await greeting(edge, CLIENT)).startswith("220")
