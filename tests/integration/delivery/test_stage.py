"""The stage from queue to acknowledgement, with a broker that is noted down and real next hops."""

import asyncio
import time
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

import pytest

from shared.broker.publish import PublishError
from shared.broker.topology import Exchange
from shared.envelope import Notify, Proof, Recipient, Retry
from shared.event import EventKind
from shared.wire import read_note
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import (
    MESSAGE,
    FakeDelivery,
    delivery_of,
    envelope_for,
    route_policy,
)
from tests.nexthop import DISCONNECT, HANG, NextHop

REFUSES = {"rcpt": ["550 5.1.1 no such user"]}
DEFERS = {"rcpt": ["451 4.2.1 later"]}


async def test_recipients_of_several_hops_are_split_and_nothing_is_sent_yet(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        whole = envelope_for("b@example.org", "c@elsewhere.example", "d@example.org", "e@other.example")
        await one.take(whole)
        parts = one.publisher.to(Exchange.DELIVERY)
        assert [[to.address for to in part.envelope.recipients] for part in parts] == [
            ["b@example.org", "d@example.org"],
            ["c@elsewhere.example"],
            ["e@other.example"],
        ]
        assert [part.envelope.hop for part in parts] == [
            f"smtp://127.0.0.1:{hop.port}",
            "mx:elsewhere.example",
            "mx:other.example",
        ]
        assert {part.envelope.parent for part in parts} == {whole.id}
        assert len({part.envelope.id for part in parts} | {whole.id}) == 4
        assert all(part.message_id == part.envelope.id and part.body == MESSAGE for part in parts)
        assert [kind for _, kind, _ in one.events.told] == [EventKind.SPLIT]
        assert hop.connections == 0


async def test_recipients_of_one_hop_go_out_at_once(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for("b@example.org", "c@example.org"))
        assert len(hop.mails[0].rcpts) == 2
        assert one.publisher.published == []
        assert [kind for _, kind, _ in one.events.told] == [EventKind.ATTEMPT, EventKind.DELIVERED]


async def test_mx_hosts_are_tried_in_order_until_one_is_reached(stage: MakeStage, tmp_path: Path) -> None:
    zone = tmp_path / "elsewhere.example.zone"
    async with NextHop() as hop:
        # Nobody listens on 127.0.0.2 at that port.
        zone.write_text(
            "$ORIGIN elsewhere.example.\n@ MX 10 dead\n@ MX 20 alive\ndead A 127.0.0.2\nalive A 127.0.0.1\n"
        )
        one = stage("", zone_files=(zone,), mx_port=hop.port)
        await one.take(envelope_for("b@elsewhere.example"))
        assert len(hop.mails) == 1
        (attempt,) = one.events.of(EventKind.ATTEMPT)
        assert attempt["hop"] == "mx:elsewhere.example"
        assert attempt["peer"] == f"alive.elsewhere.example [127.0.0.1]:{hop.port}"


async def test_null_mx_fails_for_good(stage: MakeStage, tmp_path: Path) -> None:
    zone = tmp_path / "elsewhere.example.zone"
    zone.write_text("$ORIGIN elsewhere.example.\n@ MX 0 .\n")
    one = stage("", zone_files=(zone,))
    await one.take(envelope_for("b@elsewhere.example"))
    assert "5.1.10" in str(one.events.of(EventKind.FAILED)[0]["reply"])


async def test_dns_without_an_answer_defers(stage: MakeStage) -> None:
    one = stage("")
    await one.take(envelope_for("b@elsewhere.example"))
    assert "451 4.4.3" in str(one.events.of(EventKind.RETRY)[0]["reason"])


async def test_a_maildir_takes_each_recipient_in_its_folder(stage: MakeStage, tmp_path: Path) -> None:
    one = stage(route_policy("maildir:mail"))
    envelope = envelope_for("b@example.org", "../../Etc@example.org")
    await one.take(envelope)
    (mail,) = (tmp_path / "mail/example.org/b/new").iterdir()
    assert mail.read_bytes() == b"Return-Path: <a@client.example>\r\nDelivered-To: b@example.org\r\n" + MESSAGE
    (other,) = (tmp_path / "mail/example.org").glob("*Etc*".lower())
    assert other.name == "%2E.%2F..%2Fetc"
    assert len(list((other / "new").iterdir())) == 1
    assert not list((tmp_path / "mail/example.org/b/tmp").iterdir())


async def test_the_same_message_twice_is_one_in_the_maildir(stage: MakeStage, tmp_path: Path) -> None:
    one = stage(route_policy("maildir:mail"))
    envelope = envelope_for()
    await one.take(envelope)
    await one.take(envelope)
    assert len(list((tmp_path / "mail/example.org/b/new").iterdir())) == 1


async def test_a_maildir_that_cannot_be_written_defers(stage: MakeStage, tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where the folder should be")
    one = stage(route_policy("maildir:mail"))
    await one.take(envelope_for())
    assert "451 4.3.0" in str(one.events.of(EventKind.RETRY)[0]["reason"])


# -- again


async def test_a_deferred_message_waits_on_the_ladder(stage: MakeStage) -> None:
    async with NextHop(DEFERS) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}", more="[retry]\nsteps_s = [60, 3600]\n"))
        begun = time.time()
        await one.take(envelope_for())
        (again,) = one.publisher.to(Exchange.DELIVERY_RETRY)
        assert again.key == "gatepost.delivery.retry.60s"
        assert again.envelope.retry.attempts == 1
        assert 59 < again.envelope.retry.not_before - begun < 61
        await one.take(replace(again.envelope, retry=replace(again.envelope.retry, not_before=time.time())))
        assert one.publisher.to(Exchange.DELIVERY_RETRY)[1].key == "gatepost.delivery.retry.900s"


async def test_a_message_before_its_time_goes_back_without_an_attempt(stage: MakeStage) -> None:
    one = stage(route_policy("smtp://127.0.0.1:1"))
    early = envelope_for(retry=Retry(attempts=3, not_before=time.time() + 899, last_reply="451 later"))
    await one.take(early)
    (again,) = one.publisher.to(Exchange.DELIVERY_RETRY)
    assert again.key == "gatepost.delivery.retry.900s"
    assert again.envelope == early
    assert one.events.told == []


async def test_a_dead_hop_is_left_alone_and_its_messages_wait_without_an_attempt(stage: MakeStage) -> None:
    async with NextHop({"greeting": [DISCONNECT]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        await one.take(envelope_for())
        assert hop.connections == 1
        first, second = (message.envelope.retry for message in one.publisher.to(Exchange.DELIVERY_RETRY))
        assert (first.attempts, second.attempts) == (1, 0)
        assert one.publisher.to(Exchange.DELIVERY_RETRY)[1].key == "gatepost.delivery.retry.5s"
        assert second.last_reply.startswith("waiting for the hop: ")


async def test_a_message_for_a_dead_hop_still_comes_to_the_end_of_its_life(stage: MakeStage) -> None:
    async with NextHop({"greeting": [DISCONNECT]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        await one.take(envelope_for(received_at=time.time() - 500_000))
        assert one.events.of(EventKind.FAILED)[0]["reason"] == "given up: the lifetime is over"
        assert len(one.publisher.to(Exchange.DELIVERY)) == 1


async def test_a_slow_hop_does_not_hold_up_the_others(stage: MakeStage) -> None:
    async with NextHop({"greeting": [HANG]}) as slow, NextHop() as quick:
        policy = route_policy(f"smtp://127.0.0.1:{slow.port}", "slow.example") + route_policy(
            f"smtp://127.0.0.1:{quick.port}"
        )
        one = stage(policy)
        # As with prefetch: fifty at a time, most of them for the slow hop.
        deliveries = [delivery_of(envelope_for("x@slow.example" if n % 10 else "x@example.org")) for n in range(1000)]
        waiting = iter(deliveries)

        async def slot() -> None:
            for delivery in waiting:
                await one.consumer.handle(delivery)

        slots = [asyncio.create_task(slot()) for _ in range(50)]
        await quick.until(lambda: len(quick.mails) == 100)
        # The slow hop holds no more than the two places of a hop that has not proved itself.
        assert slow.connections == 2
        for task in slots:
            task.cancel()
        await asyncio.gather(*slots, return_exceptions=True)


async def test_messages_beyond_the_memory_wait_elsewhere(stage: MakeStage) -> None:
    async with NextHop({"message": [HANG]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        large = b"a: b\r\n\r\n" + (b"x" * 70 + b"\r\n") * 12_500
        held = asyncio.create_task(one.consumer.handle(delivery_of(envelope_for(), large)))
        await hop.until(lambda: len(hop.mails) == 1)
        await one.take(envelope_for(), large)
        (waits,) = one.publisher.to(Exchange.DELIVERY_RETRY)
        assert (waits.key, waits.envelope.retry.last_reply) == ("gatepost.delivery.retry.5s", "waiting for memory")
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)


# -- reports and quarantine


async def test_a_failure_is_reported_to_a_proved_sender(stage: MakeStage) -> None:
    async with NextHop(REFUSES) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        envelope = envelope_for()
        await one.take(envelope)
        (dsn,) = one.publisher.to(Exchange.DELIVERY)
        about = dsn.envelope
        assert (about.sender, about.proved, about.parent) == ("", Proof.GATEWAY, envelope.id)
        assert [to.address for to in about.recipients] == ["a@client.example"]
        report = message_from_bytes(dsn.body)
        assert report.get_content_type() == "multipart/report"
        assert [part.get_content_type() for part in report.get_payload()] == [  # type: ignore[union-attr]
            "text/plain",
            "message/delivery-status",
            "message/rfc822",
        ]
        sent = one.events.of(EventKind.DSN_SENT)
        assert sent == [{"dsn_id": about.id, "action": "failed", "to": "a@client.example"}]


@pytest.mark.parametrize(
    "changes", [{"proved": None}, {"sender": ""}, {"sender": "", "proved": Proof.GATEWAY}], ids=str
)
async def test_without_a_proved_sender_the_message_is_kept_in_quarantine(
    changes: dict[str, object], stage: MakeStage
) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no such user", "250 ok"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for("b@example.org", "c@example.org", **changes))
        (kept,) = one.publisher.published
        assert (kept.exchange, kept.key, kept.body) == (Exchange.QUARANTINE, "quarantine", MESSAGE)
        assert [to.address for to in kept.envelope.recipients] == ["b@example.org"]
        note = read_note(kept.headers)
        assert note is not None
        assert (note.reason, note.evidence) == ("undeliverable", "550 5.1.1 no such user")
        assert len(one.events.of(EventKind.DSN_WITHHELD)) == len(one.events.of(EventKind.QUARANTINED)) == 1


async def test_notify_never_is_honoured(stage: MakeStage) -> None:
    async with NextHop(REFUSES) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for(recipients=(Recipient("b@example.org", (Notify.NEVER,)),)))
        assert one.publisher.published == []
        assert len(one.events.of(EventKind.FAILED)) == 1


@pytest.mark.parametrize(("route", "action"), [("smtp", "relayed"), ("lmtp", "delivered"), ("dsn", None)])
async def test_success_is_reported_where_the_hop_does_not(route: str, action: str | None, stage: MakeStage) -> None:
    async with NextHop(lmtp=route == "lmtp", extensions=["DSN"] if route == "dsn" else []) as hop:
        one = stage(route_policy(f"{'lmtp' if route == 'lmtp' else 'smtp'}://127.0.0.1:{hop.port}"))
        await one.take(envelope_for(recipients=(Recipient("b@example.org", (Notify.SUCCESS,)),)))
        assert [sent["action"] for sent in one.events.of(EventKind.DSN_SENT)] == ([action] if action else [])


async def test_a_delay_is_told_once(stage: MakeStage) -> None:
    async with NextHop(DEFERS) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for(received_at=time.time() - 15_000))
        (again,) = one.publisher.to(Exchange.DELIVERY_RETRY)
        assert again.envelope.retry.delay_notice_sent
        await one.take(replace(again.envelope, retry=replace(again.envelope.retry, not_before=0)))
        assert [sent["action"] for sent in one.events.of(EventKind.DSN_SENT)] == ["delayed"]


async def test_what_is_no_mail_is_kept_in_quarantine_as_it_came(stage: MakeStage) -> None:
    one = stage("")
    delivery = FakeDelivery(b"body", {"envelope": b'{"id": 5'}, message_id="m1")
    await one.consumer.handle(delivery)
    assert delivery.acked
    (kept,) = one.publisher.published
    assert (kept.exchange, kept.body, kept.headers["envelope"]) == (Exchange.QUARANTINE, b"body", '{"id": 5')
    note = read_note(kept.headers)
    assert note is not None
    assert note.reason == "unreadable"


# -- the broker's troubles


async def test_a_publish_that_fails_is_tried_again_before_the_message_is_handed_back(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.delivery.settle._PAUSE_S", 0)
    async with NextHop(DEFERS) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        one.publisher.failures = 3
        await one.take(envelope_for())
        assert len(one.publisher.published) == 1


async def test_a_message_handed_back_is_not_delivered_again_to_those_who_have_it(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.delivery.settle._PERSIST_S", 0)
    async with NextHop({"rcpt": ["250 ok", "451 4.2.1 later"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        one.publisher.failures = 1
        envelope = envelope_for("b@example.org", "c@example.org")
        delivery = delivery_of(envelope)
        with pytest.raises(PublishError):
            await one.consumer.handle(delivery)
        assert not delivery.acked
        await one.take(envelope, redelivered=True)
        assert len(hop.mails) == 1
        assert len(one.publisher.to(Exchange.DELIVERY_RETRY)) == 1


async def test_a_message_whose_acknowledgement_was_lost_is_only_acknowledged(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        envelope = envelope_for()
        delivery = delivery_of(envelope)
        handling = asyncio.create_task(one.consumer.handle(delivery))
        await hop.until(lambda: hop.connections > 0)
        delivery.stale = True
        await handling
        await one.take(envelope, redelivered=True)
        assert len(hop.mails) == 1
        # Published anew (released from quarantine, say), it is another matter.
        await one.take(envelope)
        assert len(hop.mails) == 2


async def test_a_message_that_comes_again_while_we_are_at_it_goes_out_once(stage: MakeStage) -> None:
    async with NextHop(pause_s=0.05) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        envelope = envelope_for()
        first = delivery_of(envelope)
        at_it = asyncio.create_task(one.consumer.handle(first))
        await hop.until(lambda: hop.connections > 0)
        first.stale = True
        await one.take(envelope, redelivered=True)
        await at_it
        assert len(hop.mails) == 1


async def test_an_envelope_without_recipients_is_kept_in_quarantine(stage: MakeStage) -> None:
    one = stage("")
    await one.take(envelope_for(recipients=()))
    assert [kept.exchange for kept in one.publisher.published] == [Exchange.QUARANTINE]


async def test_a_split_whose_acknowledgement_was_lost_is_not_split_again(stage: MakeStage) -> None:
    one = stage("")
    envelope = envelope_for("b@x.example", "c@y.example")
    delivery = delivery_of(envelope)
    publish = one.publisher.publish

    async def publish_and_lose_the_channel(*arguments: object, **more: object) -> None:
        await publish(*arguments, **more)  # type: ignore[arg-type]
        delivery.stale = True

    one.publisher.publish = publish_and_lose_the_channel  # type: ignore[method-assign]
    await one.consumer.handle(delivery)
    await one.take(envelope, redelivered=True)
    assert len(one.publisher.published) == 2
