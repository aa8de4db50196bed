"""Probes of real next hops: what a hop says of a recipient, without sending it anything, and without harm to mail."""

import asyncio
from pathlib import Path

import pytest

from services.delivery import prober as prober_module
from services.delivery.judge_probe import Probed
from services.delivery.prober import Prober
from services.delivery.probing import AT_ONCE, REFUSED_LIMIT, WAITING_LIMIT
from services.delivery.route import hop_of
from shared.event import EventKind
from shared.policy import DeliveryRules
from shared.wire_verify import VerifyResult
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.engines import smtp_sink
from tests.integration.delivery.parts import Stage, envelope_for, route_policy
from tests.integration.delivery.waiting import wait_until
from tests.nexthop import DISCONNECT, EXTENSIONS, HANG, NextHop

TAKEN, REFUSED, UNKNOWN = VerifyResult.TAKEN, VerifyResult.REFUSED, VerifyResult.UNKNOWN
NO_SUCH_USER = "550 5.1.1 no such user"


async def _probe(stage: Stage, recipient: str = "b@example.org") -> Probed:
    policy = stage.in_force.policy
    hop = hop_of(recipient.rpartition("@")[2], policy)
    return await Prober(stage.courier, stage.hops, stage.sources).probe(hop, recipient, policy)


def _of(stage: MakeStage, hop: NextHop, more: str = "") -> Stage:
    kind = "lmtp" if hop.lmtp else "smtps" if hop.implicit_tls else "smtp"
    return stage(route_policy(f"lmtp:{hop.path}" if hop.path else f"{kind}://127.0.0.1:{hop.port}", more=more))


@pytest.mark.parametrize(
    ("reply", "result"), [("250 2.1.5 ok", TAKEN), (NO_SUCH_USER, REFUSED), ("450 4.2.1 later", UNKNOWN)]
)
async def test_a_hop_says_whom_it_takes_and_gets_no_mail(reply: str, result: VerifyResult, stage: MakeStage) -> None:
    async with NextHop({"rcpt": [reply]}) as hop:
        assert await _probe(_of(stage, hop)) == Probed(result, reply)
        assert hop.said[1:] == ["MAIL FROM:<>", "RCPT TO:<b@example.org>", "RSET"]
        assert not hop.mails


@pytest.mark.parametrize(
    ("script", "reply"),
    [
        ({"greeting": ["554 5.3.2 not today"]}, "554 5.3.2 not today"),
        ({"greeting": [DISCONNECT]}, "connection closed"),
        ({"ehlo": ["550 5.7.1 go away"], "helo": ["550 5.7.1 go away"]}, "5.7.1 go away"),
        ({"mail": ["550 5.1.1 no null sender"]}, "no null sender"),
        ({"mail": [DISCONNECT]}, "connection closed"),
        ({"rcpt": ["550 5.7.1 listed"]}, "listed"),
        ({"rcpt": ["554 no"]}, "554 no"),
        ({"rcpt": [DISCONNECT]}, "connection closed"),
        ({"rcpt": ["421 4.3.2 bye"]}, "bye"),
        ({"rcpt": ["gibberish"]}, "not a reply line"),
        ({"starttls": ["454 4.7.0 no TLS now"]}, "no TLS now"),
    ],
)
@pytest.mark.parametrize("extensions", [EXTENSIONS, ()], ids=["pipelining", "step-by-step"])
async def test_a_hop_that_fails_has_said_nothing_of_the_recipient(
    script: dict[str, list[object]], reply: str, extensions: tuple[str, ...], stage: MakeStage
) -> None:
    async with NextHop(script, extensions=extensions, tls="starttls" in script) as hop:  # type: ignore[arg-type]
        probed = await _probe(_of(stage, hop))
        assert probed.result is UNKNOWN
        assert reply in probed.reply


@pytest.mark.parametrize("extensions", [EXTENSIONS, ()], ids=["pipelining", "step-by-step"])
async def test_what_was_said_of_the_recipient_stands_though_the_hop_goes_away(
    extensions: tuple[str, ...], stage: MakeStage
) -> None:
    async with NextHop({"rcpt": [NO_SUCH_USER], "rset": [DISCONNECT]}, extensions=extensions) as hop:
        assert (await _probe(_of(stage, hop))).result is REFUSED


@pytest.mark.parametrize("hop", [NextHop(tls=True), NextHop(implicit_tls=True)], ids=["starttls", "smtps"])
async def test_a_probe_speaks_tls_as_mail_does(hop: NextHop, stage: MakeStage) -> None:
    async with hop:
        assert (await _probe(_of(stage, hop))).result is TAKEN


@pytest.mark.parametrize("socket", [False, True], ids=["tcp", "unix-socket"])
async def test_an_lmtp_server_is_asked_with_lhlo(socket: bool, stage: MakeStage, tmp_path: Path) -> None:
    path = str(tmp_path / "lmtp") if socket else ""
    async with NextHop({"rcpt": [NO_SUCH_USER]}, lmtp=True, path=path) as hop:
        assert (await _probe(_of(stage, hop))).result is REFUSED
        assert hop.said[0] == "LHLO gate.example"


async def test_a_maildir_takes_anyone(stage: MakeStage, tmp_path: Path) -> None:
    assert (await _probe(stage(route_policy("maildir:mail")))).result is TAKEN
    assert not (tmp_path / "mail").exists()


async def test_without_any_server_nothing_is_known(stage: MakeStage) -> None:
    async with NextHop() as hop:
        port = hop.port
    one = stage(route_policy(f"smtp://127.0.0.1:{port}"))
    probed = await _probe(one)
    assert probed.result is UNKNOWN
    assert "cannot connect" in probed.reply
    # The hop is left alone now, by mail and probes alike.
    assert "waiting for the hop" in (await _probe(one)).reply


@pytest.mark.parametrize("moment", ["greeting", "mail", "rcpt"])
async def test_a_slow_hop_is_given_up_and_held_against_nobody(
    moment: str, stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prober_module, "PROBE_S", 0.2)
    async with NextHop({moment: [HANG, "220 now" if moment == "greeting" else "250 ok"]}) as hop:
        one = _of(stage, hop)
        probed = await _probe(one)
        assert probed == Probed(UNKNOWN, "the hop did not answer within 0.2 s")
        # Mail may still go there at once.
        await one.take(envelope_for())
        assert len(hop.mails) == 1


async def test_an_address_beyond_ascii_needs_smtputf8(stage: MakeStage) -> None:
    async with NextHop() as able, NextHop(extensions=("PIPELINING",)) as unable:
        assert (await _probe(_of(stage, able), "bü@example.org")).result is TAKEN
        assert able.said[1] == "MAIL FROM:<> SMTPUTF8"
        assert (await _probe(_of(stage, unable), "bü@example.org")).result is REFUSED


async def test_probes_of_one_hop_share_a_session_that_mail_does_not_use(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = _of(stage, hop)
        for name in "abc":
            assert (await _probe(one, f"{name}@example.org")).result is TAKEN
        assert hop.connections == 1
        await one.take(envelope_for())
        assert hop.connections == 2


async def test_a_session_on_which_many_were_refused_is_left(stage: MakeStage) -> None:
    async with NextHop({"rcpt": [NO_SUCH_USER]}) as hop:
        one = _of(stage, hop)
        for number in range(REFUSED_LIMIT + 1):
            await _probe(one, f"{number}@example.org")
        assert hop.connections == 2


@pytest.mark.parametrize(
    "script",
    [
        {"mail": ["250 ok", DISCONNECT, "250 ok"]},
        {"mail": ["250 ok", "421 4.4.2 idle for too long", "250 ok"]},
        {"rset": [DISCONNECT, "250 ok"]},
        {"rset": ["500 5.5.1 what?", "250 ok"]},
    ],
    ids=["closed", "421", "closed-after-the-answer", "no-rset"],
)
@pytest.mark.parametrize("extensions", [EXTENSIONS, ()], ids=["pipelining", "step-by-step"])
async def test_a_kept_session_that_is_dead_is_replaced(
    script: dict[str, list[object]], extensions: tuple[str, ...], stage: MakeStage
) -> None:
    async with NextHop(script, extensions=extensions) as hop:  # type: ignore[arg-type]
        one = _of(stage, hop)
        assert (await _probe(one)).result is TAKEN
        assert (await _probe(one)).result is TAKEN
        assert hop.connections == 2


async def test_probes_leave_room_for_mail_and_are_bounded(stage: MakeStage) -> None:
    async with NextHop({"rcpt": [HANG, HANG, "250 ok"]}) as hop:
        one = _of(stage, hop)
        # A hop that has proved itself.
        for _ in range(4):
            state = await one.hops.enter(f"smtp://127.0.0.1:{hop.port}", DeliveryRules())
            state.gate.leave(0.01)
        probes = [
            asyncio.create_task(_probe(one, f"{number}@example.org")) for number in range(AT_ONCE + WAITING_LIMIT + 1)
        ]
        await hop.until(lambda: len(hop.said) == 3 * AT_ONCE)
        assert hop.connections == AT_ONCE
        assert (await probes[-1]).reply == "too many questions wait for this hop"
        await one.take(envelope_for())
        assert len(hop.mails) == 1
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        assert state.gate.busy == 0
        assert state.probing.is_idle


async def test_the_hosts_of_a_domain_are_tried_in_order(stage: MakeStage, tmp_path: Path) -> None:
    zone = tmp_path / "zone"
    zone.write_text(
        "$ORIGIN example.org.\n@ 3600 IN MX 10 a\n@ 3600 IN MX 20 b\na 3600 IN A 127.0.0.9\nb 3600 IN A 127.0.0.1\n"
    )
    async with NextHop({"rcpt": [NO_SUCH_USER]}) as hop:
        one = stage(route_policy("mx"), zone_files=(zone,), mx_port=hop.port)
        assert (await _probe(one)).result is REFUSED


@pytest.mark.parametrize(
    ("switches", "result"),
    [
        ((), TAKEN),
        (("-e",), TAKEN),
        (("-p",), TAKEN),
        (("-f", "MAIL"), UNKNOWN),
        (("-f", "RCPT"), UNKNOWN),
        (("-r", "RCPT"), UNKNOWN),
        (("-q", "CONNECT"), UNKNOWN),
        (("-q", "EHLO"), UNKNOWN),
        (("-q", "RCPT"), UNKNOWN),
        (("-Q", "RCPT"), UNKNOWN),
        (("-f", "RCPT", "-B", "550 5.1.1 User unknown"), REFUSED),
        (("-f", "RCPT", "-B", "550 5.7.1 Client host blocked"), UNKNOWN),
    ],
)
async def test_smtp_sinks_answers(switches: tuple[str, ...], result: VerifyResult, stage: MakeStage) -> None:
    with smtp_sink(*switches) as (port, taken):
        assert (await _probe(stage(route_policy(f"smtp://127.0.0.1:{port}")))).result is result
        # smtp-sink opens a file at MAIL, and removes it once the session has ended.
        await asyncio.to_thread(wait_until, lambda: not list(taken.iterdir()))


async def test_a_probe_tells_no_events(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = _of(stage, hop)
        await _probe(one)
        assert one.events.of(EventKind.ATTEMPT) == []
