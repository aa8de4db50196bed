"""What senders are told, and when mail is tried again, with real next hops that say what servers say."""

import time
from email import message_from_bytes
from email.message import Message

import pytest

from shared.broker.topology import Exchange
from shared.envelope import Notify, Recipient, Ret
from shared.event import EventKind
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import MESSAGE, Stage, envelope_for, route_policy
from tests.nexthop import DISCONNECT, EXTENSIONS, NextHop

RETRY = """
[retry]
steps_s = [900]
connection_steps_s = [300]
greylisted_steps_s = [60]
policy_steps_s = [3600]
codes = { "4.2.2" = [7200] }
"""


def _notices(one: Stage) -> list[Message]:
    return [message_from_bytes(published.body) for published in one.publisher.to(Exchange.DELIVERY)]


def _groups(notice: Message) -> list[dict[str, str]]:
    parts = notice.get_payload()
    assert isinstance(parts, list)
    groups = parts[1].get_payload()  # type: ignore[union-attr]
    assert isinstance(groups, list)
    return [dict(group.items()) for group in groups[1:]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("script", "failure", "wait_s"),
    [
        ({"rcpt": ["450 4.7.1 Greylisted, try again in 300 seconds"]}, "greylisted", 60),
        ({"rcpt": ["452 4.2.2 over quota"]}, "mailbox-full", 7200),
        ({"mail": ["421 4.7.0 temporarily deferred due to user complaints"]}, "policy", 3600),
        ({"message": ["451 4.3.0 queue file write error"]}, "other", 900),
        ({"greeting": [DISCONNECT]}, "connection", 300),
        ({"greeting": ["421 4.3.2 too busy"]}, "connection", 300),
        ({"message": [DISCONNECT]}, "connection", 300),
    ],
)
async def test_each_failure_waits_as_its_class_does(
    script: dict[str, list[str]], failure: str, wait_s: int, stage: MakeStage
) -> None:
    async with NextHop(script) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}", more=RETRY))
        begun = time.time()
        await one.take(envelope_for())
        (told,) = one.events.of(EventKind.RETRY)
        assert (told["failure"], told["hop"]) == (failure, f"smtp://127.0.0.1:{hop.port}")
        (again,) = one.publisher.to(Exchange.DELIVERY_RETRY)
        retry = again.envelope.retry
        assert (retry.failure, retry.failures, retry.attempts) == (failure, 1, 1)
        assert retry.tried_at >= begun
        assert retry.not_before - retry.tried_at == pytest.approx(wait_s)


async def test_a_ladder_of_a_destination_goes_before_the_general_one(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["451 4.3.0 later"]}) as hop:
        own = f'[destinations."smtp://127.0.0.1:{hop.port}".retry]\nsteps_s = [17]\n'
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}", more=RETRY + own))
        await one.take(envelope_for())
        retry = one.publisher.to(Exchange.DELIVERY_RETRY)[0].envelope.retry
        assert retry.not_before - retry.tried_at == pytest.approx(17)


async def test_a_refusal_is_told_with_the_words_of_the_server_and_its_class(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no such user", "552 5.2.2 over quota"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for("a@example.org", "b@example.org"))
        assert [(told["recipients"], told["bounce"]) for told in one.events.of(EventKind.FAILED)] == [
            (["a@example.org"], "bad-address"),
            (["b@example.org"], "full-mailbox"),
        ]
        (notice,) = _notices(one)
        assert [(group["Final-Recipient"], group["Status"], group["Diagnostic-Code"]) for group in _groups(notice)] == [
            ("rfc822; a@example.org", "5.1.1", "smtp; 550 5.1.1 no such user"),
            ("rfc822; b@example.org", "5.2.2", "smtp; 552 5.2.2 over quota"),
        ]
        assert _groups(notice)[0]["Remote-MTA"] == "dns; [127.0.0.1]"


async def test_all_that_end_together_stand_in_one_report(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no such user", "450 4.7.1 Greylisted", "451 4.3.0 later"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        recipients = ("a@example.org", "b@example.org", "c@example.org")
        await one.take(envelope_for(*recipients, received_at=time.time() - 500_000))
        (notice,) = _notices(one)
        assert [(group["Action"], group["Status"]) for group in _groups(notice)] == [
            ("failed", "5.1.1"),
            ("failed", "5.7.1"),
            ("failed", "5.3.0"),
        ]
        assert [told["bounce"] for told in one.events.of(EventKind.FAILED)] == ["bad-address", "policy", "unknown"]
        assert one.publisher.to(Exchange.DELIVERY_RETRY) == []


@pytest.mark.parametrize(
    ("lmtp", "extensions", "actions"),
    [(False, EXTENSIONS, ["relayed"]), (False, (*EXTENSIONS, "DSN"), []), (True, EXTENSIONS, ["delivered"])],
)
async def test_a_success_is_told_by_us_where_the_hop_does_not(
    lmtp: bool, extensions: tuple[str, ...], actions: list[str], stage: MakeStage
) -> None:
    async with NextHop(lmtp=lmtp, extensions=extensions) as hop:
        one = stage(route_policy(f"{'lmtp' if lmtp else 'smtp'}://127.0.0.1:{hop.port}"))
        wants = Recipient("b@example.org", (Notify.SUCCESS, Notify.FAILURE), "rfc822;b@example.org")
        await one.take(envelope_for(recipients=(wants,), envid="QQ+2B1"))
        assert [_groups(notice)[0]["Action"] for notice in _notices(one)] == actions
        if not actions:
            assert hop.mails[0].rcpts == ["RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.org"]
            assert "ENVID=QQ+2B1" in hop.mails[0].mail


async def test_a_sender_hears_once_of_mail_that_waits_for_a_dead_hop_without_an_attempt(stage: MakeStage) -> None:
    async with NextHop({"greeting": [DISCONNECT]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        late = envelope_for(received_at=time.time() - 20_000)
        await one.take(late)
        (notice,) = _notices(one)
        assert _groups(notice)[0]["Action"] == "delayed"
        waiting = one.publisher.to(Exchange.DELIVERY_RETRY)[1].envelope
        assert (waiting.id, waiting.retry.attempts, waiting.retry.delay_notice_sent) == (late.id, 0, True)
        await one.take(waiting)
        assert len(_notices(one)) == 1
        assert hop.connections == 1


@pytest.mark.parametrize(
    "takes_less",
    [{"extensions": (*EXTENSIONS, "SIZE 4000")}, {"script": {"message": ["552 5.3.4 too large", "250 ok"]}}],
    ids=["said before", "said after the message"],
)
async def test_a_notice_too_large_for_its_hop_goes_again_with_the_header_alone(
    takes_less: dict[str, object], stage: MakeStage
) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no"]}) as refuses, NextHop(**takes_less) as senders:  # type: ignore[arg-type]
        own = route_policy(f"smtp://127.0.0.1:{senders.port}", "client.example")
        one = stage(route_policy(f"smtp://127.0.0.1:{refuses.port}") + own)
        await one.take(envelope_for(ret=Ret.FULL), MESSAGE + b"z" * 5000 + b"\r\n")
        (notice,) = one.publisher.to(Exchange.DELIVERY)
        await one.take(notice.envelope, notice.body)
        shorter = one.publisher.to(Exchange.DELIVERY)[1]
        assert (shorter.message_id, shorter.envelope.retry.attempts) == (notice.message_id, 1)
        assert len(one.events.of(EventKind.RETRY)) == 1
        await one.take(shorter.envelope, shorter.body)
        assert senders.mails[-1].message == shorter.body
        assert [part.get_content_type() for part in message_from_bytes(shorter.body).get_payload()] == [  # type: ignore[union-attr]
            "text/plain",
            "message/delivery-status",
            "text/rfc822-headers",
        ]
        assert not one.publisher.to(Exchange.QUARANTINE)


async def test_a_notice_that_is_too_large_with_the_header_alone_is_kept_in_quarantine(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no", "552 5.3.4 too large"]}) as hop:
        route = f"smtp://127.0.0.1:{hop.port}"
        one = stage(route_policy(route) + route_policy(route, "client.example"))
        await one.take(envelope_for(ret=Ret.HEADERS))
        (notice,) = one.publisher.to(Exchange.DELIVERY)
        await one.take(notice.envelope, notice.body)
        assert len(one.publisher.to(Exchange.DELIVERY)) == 1
        assert [kept.message_id for kept in one.publisher.to(Exchange.QUARANTINE)] == [notice.message_id]
