"""Next hops that mean harm: what they say fills no memory, breaks no line, and is never taken for a success."""

import asyncio
import time
from pathlib import Path

import pytest

from services.delivery.client.session import open_session
from services.delivery.client.target import Speech, Target
from services.delivery.client.terms import SessionTerms, Source
from services.delivery.secrets import Secrets
from services.delivery.tls.demand import TlsDemand
from shared.broker.topology import Exchange
from shared.event import EventKind
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import Stage, envelope_for, route_policy
from tests.nexthop import NextHop
from tests.scripted import server_of


def _outcome(stage: Stage) -> dict[str, str]:
    (attempt,) = stage.events.of(EventKind.ATTEMPT)
    outcomes: list[dict[str, str]] = attempt["outcomes"]  # type: ignore[assignment]
    return outcomes[0]


@pytest.mark.parametrize("extensions", [["PIPELINING"], []], ids=["pipelined", "step-by-step"])
@pytest.mark.parametrize(
    ("early", "status"),
    [
        ("250 2.0.0 taken", "deferred"),
        ("354 go on", "deferred"),
        ("450 4.7.1 no", "deferred"),
        ("550 5.7.1 no", "failed"),
    ],
)
async def test_a_reply_before_the_message_may_refuse_it_and_never_takes_it(
    early: str, status: str, extensions: list[str], stage: MakeStage
) -> None:
    async with NextHop({"data": [f"354 go ahead\r\n{early}"]}, extensions=extensions) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert _outcome(one)["status"] == status
        # It has lost step, so nothing more is said to it on this connection.
        assert not hop.mails


async def test_a_message_answered_with_354_ends_the_session(stage: MakeStage) -> None:
    async with NextHop({"message": ["354 more"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        await one.take(envelope_for())
        assert hop.connections == 2


async def test_replies_without_end_fill_no_memory(tmp_path: Path) -> None:
    # As long as a line may be, as many lines as a reply may have, one reply after the other: 1.6 GB in all.
    reply = (b"250-" + b"x" * 4000 + b"\r\n") * 190 + b"250 x\r\n"
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"220 hop.example\r\n")
        await reader.readuntil(b"\r\n")
        writer.write(b"250 hop.example\r\n")
        while written < 200_000_000:
            writer.write(reply)
            written += len(reply)
            await writer.drain()

    async with server_of(flood) as port:
        target = Target(Speech.SMTP, "127.0.0.1", "127.0.0.1", port)
        terms = SessionTerms(Source("gate.example"), 5.0, TlsDemand())
        deadline = asyncio.get_running_loop().time() + 20
        session = await open_session(target, terms, deadline, Secrets(tmp_path))
        async with asyncio.timeout(20):
            ended = asyncio.Event()
            session.wire.when_ended(ended.set)
            await ended.wait()
        kept = sum(len(line) for one in session.wire.rest() for line in one.lines)
        assert kept < 3_000_000


@pytest.mark.parametrize(
    "said",
    [
        "550 5.7.1 no\x1b]0;owned\x07 \x1b[2J",
        "550 5.7.1 no\rX-Injected: yes",
        "550 5.7.1 no\x00\x08\x7f\u202e\u2028gnp.exe",
        "550-5.7.1 no\r\n550 5.7.1 Bcc: everybody@victim.test",
    ],
)
async def test_what_a_hop_says_breaks_no_line_of_a_report_nor_of_the_trace(said: str, stage: MakeStage) -> None:
    async with NextHop({"rcpt": [said]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert _outcome(one)["reply"].isprintable()
        (report,) = one.publisher.to(Exchange.DELIVERY)
        assert b"\x1b" not in report.body
        assert b"\r" not in report.body.replace(b"\r\n", b"")
        assert not any(line.startswith((b"X-Injected", b"Bcc")) for line in report.body.split(b"\r\n"))


@pytest.mark.parametrize("code", ["150", "199", "600", "999", "25", "2500", "2x0", "-50"])
async def test_a_code_that_is_none_is_no_reply(code: str, stage: MakeStage) -> None:
    async with NextHop({"message": [f"{code} ok"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert _outcome(one)["status"] == "deferred"


async def test_several_routes_together_have_the_time_of_one(stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    # The broker takes back what is held for too long, and it goes out twice.
    monkeypatch.setattr("services.delivery.courier.ATTEMPT_S", 0.4)

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server_of(silent) as first, server_of(silent) as second, server_of(silent) as third:
        routes = [f"smtp://127.0.0.1:{port}" for port in (first, second, third)]
        one = stage(f'[domains."example.org"]\nroute = {routes!r}\nrecipients = "any"\n')
        await one.take(envelope_for())
        assert len(one.events.of(EventKind.ATTEMPT)) == 1


async def test_what_is_ours_alone_stands_in_no_report(stage: MakeStage) -> None:
    # A secret's path, the login, the host inside: an outside sender with a proved address would read them.
    more = '[delivery]\ntls = "verified"\n[delivery.auth]\nlogin = "our-login"\nsecret = "our-secret"\n'
    more += "[retry]\ndelay_notice_after_s = 60\n"
    async with NextHop(tls=True) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}", more=more))
        await one.take(envelope_for(received_at=time.time() - 100))
        await one.take(envelope_for(received_at=time.time() - 500_000))
        reports = one.publisher.to(Exchange.DELIVERY)
        assert len(reports) == 2
        for word in (b"our-login", b"our-secret", b"127.0.0.1", str(hop.port).encode()):
            assert not any(word in report.body for report in reports)
