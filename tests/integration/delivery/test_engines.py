"""The client against servers that others wrote: Postfix's smtp-sink and Dovecot's LMTP."""

import pytest

from shared.event import EventKind
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.engines import dovecot_lmtp, smtp_sink
from tests.integration.delivery.parts import MESSAGE, envelope_for, route_policy
from tests.integration.delivery.waiting import wait_until


def _replies(stage: object) -> list[tuple[str, str]]:
    events = stage.events  # type: ignore[attr-defined]
    return [
        (outcome["status"], outcome["reply"])
        for attempt in events.of(EventKind.ATTEMPT)
        for outcome in attempt["outcomes"]
    ]


async def test_smtp_sink_takes_a_message_as_it_is(stage: MakeStage) -> None:
    with smtp_sink() as (port, taken):
        one = stage(route_policy(f"smtp://127.0.0.1:{port}"))
        await one.take(envelope_for())
        await one.take(envelope_for())
        assert [status for status, _ in _replies(one)] == ["delivered", "delivered"]
        wait_until(lambda: len(list(taken.iterdir())) == 2)
        # smtp-sink writes lines with LF.
        assert MESSAGE.replace(b"\r\n", b"\n") in next(taken.iterdir()).read_bytes()


@pytest.mark.parametrize(
    ("switches", "status", "reply"),
    [
        (("-f", "MAIL"), "failed", "500 5.3.0"),
        (("-f", "RCPT"), "failed", "500 5.3.0"),
        (("-f", "DATA"), "failed", "500 5.3.0"),
        (("-f", "."), "failed", "500 5.3.0"),
        (("-r", "MAIL"), "deferred", "450 4.3.0"),
        (("-r", "RCPT"), "deferred", "450 4.3.0"),
        (("-r", "."), "deferred", "450 4.3.0"),
        (("-q", "CONNECT"), "deferred", "451 4.4.1"),
        (("-q", "EHLO"), "deferred", "451 4.4.1"),
        (("-q", "MAIL"), "deferred", "451 4.4.2"),
        (("-q", "DATA"), "deferred", "451 4.4.2"),
        (("-q", "."), "deferred", "451 4.4.2"),
        (("-Q", "RCPT"), "deferred", "421 4.0.0"),
        (("-Q", "."), "deferred", "421 4.0.0"),
        (("-e",), "delivered", "250 2.0.0"),
        (("-p",), "delivered", "250 2.0.0"),
    ],
)
async def test_smtp_sinks_failure_switches(
    switches: tuple[str, ...], status: str, reply: str, stage: MakeStage
) -> None:
    with smtp_sink(*switches) as (port, _):
        one = stage(route_policy(f"smtp://127.0.0.1:{port}"))
        await one.take(envelope_for())
        ((became, said),) = _replies(one)
        assert became == status
        assert said.startswith(reply)


async def test_smtp_sink_as_lmtp_answers_per_recipient(stage: MakeStage) -> None:
    with smtp_sink("-L") as (port, _):
        one = stage(route_policy(f"lmtp://127.0.0.1:{port}"))
        await one.take(envelope_for("a@example.org", "b@example.org"))
        assert [status for status, _ in _replies(one)] == ["delivered", "delivered"]


@pytest.mark.parametrize("socket", [False, True], ids=["tcp", "unix-socket"])
async def test_dovecot_takes_mail_over_lmtp(socket: bool, stage: MakeStage) -> None:
    with dovecot_lmtp() as (port, path, mail):
        one = stage(route_policy(f"lmtp:{path}" if socket else f"lmtp://127.0.0.1:{port}"))
        for _ in range(2):
            await one.take(envelope_for("a@example.org", "b@example.org"))
        assert [status for status, _ in _replies(one)] == ["delivered"] * 4
        for user in ("a", "b"):
            files = list((mail / "example.org" / user / "Maildir" / "new").iterdir())
            assert len(files) == 2
            assert files[0].read_bytes().replace(b"\r\n", b"\n").endswith(MESSAGE.replace(b"\r\n", b"\n"))
