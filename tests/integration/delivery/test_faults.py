"""What a next hop does wrong, and what becomes of the recipients: nothing is lost, nothing is called delivered too early."""

import pytest

from services.delivery.client import session as session_module
from shared.broker.topology import Exchange
from shared.event import EventKind
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import MESSAGE, Stage, envelope_for, route_policy
from tests.nexthop import DISCONNECT, HANG, Last, NextHop, Step

# name → (script, status of the one recipient, part of the reply that the trace shows)
FAULTS: dict[str, tuple[dict[str, list[Step]], str, str]] = {
    "disconnect_at_greeting": ({"greeting": [DISCONNECT]}, "deferred", "closed by the next hop"),
    "disconnect_at_ehlo": ({"ehlo": [DISCONNECT]}, "deferred", "closed by the next hop"),
    "disconnect_at_mail": ({"mail": [DISCONNECT]}, "deferred", "in MAIL"),
    "disconnect_at_rcpt": ({"rcpt": [DISCONNECT]}, "deferred", "in RCPT"),
    "disconnect_at_data": ({"data": [DISCONNECT]}, "deferred", "in DATA"),
    "disconnect_in_data": ({"in-data": [DISCONNECT]}, "deferred", "DATA"),
    "refused_in_data_and_gone": ({"in-data": [Last("552 5.3.4 too big")]}, "failed", "552 5.3.4 too big"),
    "deferred_in_data_and_gone": ({"in-data": ["421 4.3.2 going down"]}, "deferred", "421 4.3.2 going down"),
    "taken_in_data_and_gone": ({"message": [Last("250 2.0.0 ok")]}, "delivered", "250 2.0.0 ok"),
    "disconnect_at_end_of_data": ({"message": [DISCONNECT]}, "deferred", "in end of DATA"),
    "hang_at_greeting": ({"greeting": [HANG]}, "deferred", "no reply in time"),
    "hang_at_mail": ({"mail": [HANG]}, "deferred", "no reply in time"),
    "hang_at_rcpt": ({"rcpt": [HANG]}, "deferred", "no reply in time"),
    "hang_at_data": ({"data": [HANG]}, "deferred", "no reply in time"),
    "hang_at_end_of_data": ({"message": [HANG]}, "deferred", "no reply in time"),
    "greeting_421": ({"greeting": ["421 4.3.2 too busy"]}, "deferred", "421 4.3.2 too busy"),
    "greeting_554": ({"greeting": ["554 5.3.2 go away"]}, "deferred", "554 5.3.2 go away"),
    "greeting_is_no_smtp": ({"greeting": ["HTTP/1.1 200 OK"]}, "deferred", "not a reply line"),
    "ehlo_refused_twice": ({"ehlo": ["502 no"], "helo": ["502 no"]}, "deferred", "502"),
    "mail_refused": ({"mail": ["550 5.7.1 not from you"]}, "failed", "550 5.7.1 not from you"),
    "mail_deferred": ({"mail": ["451 4.3.0 later"]}, "deferred", "451 4.3.0 later"),
    "mail_421": ({"mail": ["421 4.3.2 going down"]}, "deferred", "421 4.3.2 going down"),
    "rcpt_refused": ({"rcpt": ["550 5.1.1 no such user"]}, "failed", "550 5.1.1 no such user"),
    "rcpt_greylisted": ({"rcpt": ["450 4.7.1 greylisted"]}, "deferred", "450 4.7.1 greylisted"),
    "rcpt_421": ({"rcpt": ["421 4.3.2 going down"]}, "deferred", "421 4.3.2 going down"),
    "data_refused": ({"data": ["554 5.7.1 no"]}, "failed", "554 5.7.1 no"),
    "data_answered_250": ({"data": ["250 ok"]}, "deferred", "250 ok"),
    "message_refused": ({"message": ["550 5.6.0 bad content"]}, "failed", "550 5.6.0 bad content"),
    "message_deferred": ({"message": ["452 4.2.2 full"]}, "deferred", "452 4.2.2 full"),
    "message_answered_354": ({"message": ["354 more"]}, "deferred", "354 more"),
    "message_answered_nonsense": ({"message": ["yes"]}, "deferred", "not a reply line"),
    "message_answered_at_length": ({"message": ["250-x\r\n" * 300 + "250 x"]}, "deferred", "more than 200 lines"),
    "code_contradicts_enhanced": ({"message": ["550 2.0.0 fine"]}, "failed", "550 2.0.0 fine"),
}


@pytest.fixture
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a silent hop cost a test a moment, not a minute."""
    for module in ("client.session", "client.transaction"):
        monkeypatch.setattr(f"services.delivery.{module}.STEP_S", 0.3)
    monkeypatch.setattr("services.delivery.courier.ATTEMPT_S", 0.6)
    assert session_module.STEP_S == 0.3


async def _attempt(stage: Stage, *recipients: str) -> list[dict[str, str]]:
    await stage.take(envelope_for(*recipients))
    (attempt,) = stage.events.of(EventKind.ATTEMPT)
    return attempt["outcomes"]  # type: ignore[return-value]


@pytest.mark.usefixtures("_short_steps")
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "step-by-step"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_has_its_outcome(fault: str, pipelining: bool, stage: MakeStage) -> None:
    script, status, reply = FAULTS[fault]
    async with NextHop(script, extensions=["PIPELINING"] if pipelining else []) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        (outcome,) = await _attempt(one)
        assert outcome["status"] == status
        assert reply in outcome["reply"]
        again = one.publisher.to(Exchange.DELIVERY_RETRY)
        assert [message.body for message in again] == ([MESSAGE] if status == "deferred" else [])
        assert len(one.publisher.to(Exchange.DELIVERY)) == (1 if status == "failed" else 0)


async def test_nobody_listening_is_deferred(stage: MakeStage) -> None:
    async with NextHop() as hop:
        port = hop.port
    one = stage(route_policy(f"smtp://127.0.0.1:{port}"))
    (outcome,) = await _attempt(one)
    assert outcome["status"] == "deferred"
    assert "cannot connect" in outcome["reply"]


async def test_each_recipient_has_its_own_outcome(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["250 ok", "550 5.1.1 no", "451 4.2.1 later"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        outcomes = await _attempt(one, "a@example.org", "b@example.org", "c@example.org")
        assert [outcome["status"] for outcome in outcomes] == ["delivered", "failed", "deferred"]
        assert hop.mails[0].rcpts == ["RCPT TO:<a@example.org>"]
        (again,) = one.publisher.to(Exchange.DELIVERY_RETRY)
        assert [to.address for to in again.envelope.recipients] == ["c@example.org"]
        assert again.envelope.retry.attempts == 1
        assert again.envelope.retry.last_reply == "451 4.2.1 later"


async def test_a_refused_recipient_stays_refused_when_the_hop_goes_away_later(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no", "250 ok"], "message": [DISCONNECT]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        outcomes = await _attempt(one, "a@example.org", "b@example.org")
        assert [outcome["status"] for outcome in outcomes] == ["failed", "deferred"]


async def test_a_hop_that_takes_data_for_nobody_gets_the_final_dot_only(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no"], "data": ["354 go"], "message": ["554 5.5.1 nobody"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        (outcome,) = await _attempt(one)
        assert outcome["reply"] == "550 5.1.1 no"
        assert hop.mails[0].message == b""


async def test_552_to_one_rcpt_of_several_is_tried_again(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["250 ok", "552 too many recipients"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        outcomes = await _attempt(one, "a@example.org", "b@example.org")
        assert [outcome["status"] for outcome in outcomes] == ["delivered", "deferred"]
