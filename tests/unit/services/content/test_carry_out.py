"""Rules of carrying a verdict out: which recipients' copy goes where, with which envelope."""

import time
from dataclasses import replace
from email import message_from_bytes
from email.message import Message

import pytest

from services.content.carry_out import CarryOut, Examined
from shared.broker.publish import PublishError, PublishFailure
from shared.envelope import Client, Direction, Envelope, Proof, Recipient, Retry
from shared.event import EventKind
from shared.policy import parse_policy
from shared.verdict import Action, CheckName, Reason, Verdict
from shared.wire import read_note
from tests.fakes import FakeEvents, FakePublisher, Published

ID = "01m85rrw9tejgajt89hfcgzyx2"
ORIGINAL = b"Subject: x\r\n\r\nbody\r\n"
RESULTS = "mx.test; none"
MARKED = f"Authentication-Results: {RESULTS}\r\n".encode() + ORIGINAL
POLICY = parse_policy("[retry]\nlifetime_s = 3600\n")
ENVELOPE = Envelope(
    id=ID,
    received_at=time.time(),
    listener="mx",
    direction=Direction.INBOUND,
    client=Client("192.0.2.1", 4000, "helo.test"),
    sender="a@sender.test",
    recipients=(Recipient("1@a.test"), Recipient("2@b.test"), Recipient("3@a.test")),
    size_bytes=len(ORIGINAL),
)


def verdict(action: Action, evidence: str = "why") -> Verdict:
    return Verdict(action, (Reason(CheckName.SPF, "fail", action, evidence),), 7)


class Stage:
    """The last step with a broker that confirms at once."""

    def __init__(self) -> None:
        self.publisher, self.events = FakePublisher(), FakeEvents()
        self.carry_out = CarryOut(self.publisher, self.events, "mx.test")

    async def take(
        self,
        envelope: Envelope = ENVELOPE,
        proved: Proof | None = None,
        message: bytes = ORIGINAL,
        **verdicts: Verdict,
    ) -> None:
        by_domain = {f"{name}.test": verdict for name, verdict in verdicts.items()}
        await self.carry_out(Examined(envelope, message, RESULTS, proved), by_domain, POLICY)

    @property
    def copies(self) -> dict[str, Published]:
        """What was published, by the recipients' local parts."""
        return {
            "".join(recipient.address[0] for recipient in one.envelope.recipients): one
            for one in self.publisher.published
        }


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_domains_of_one_verdict_share_a_copy(stage: Stage) -> None:
    await stage.take(a=verdict(Action.ACCEPT), b=verdict(Action.ACCEPT))
    (copy,) = stage.publisher.published
    assert (copy.exchange, copy.key, copy.message_id, copy.persistent) == ("gatepost.to.delivery", "delivery", ID, True)
    assert copy.body == MARKED
    assert copy.envelope.recipients == ENVELOPE.recipients
    assert copy.envelope.size_bytes == len(MARKED)
    assert stage.events.of(ID) == [EventKind.QUEUED]


async def test_each_verdict_has_a_copy_for_its_recipients_in_their_order(stage: Stage) -> None:
    await stage.take(a=verdict(Action.ACCEPT), b=verdict(Action.QUARANTINE))
    assert {who: copy.exchange for who, copy in stage.copies.items()} == {
        "13": "gatepost.to.delivery",
        "2": "gatepost.to.quarantine",
    }
    assert stage.events.of(ID) == [EventKind.QUEUED, EventKind.QUARANTINED]


async def test_a_tagged_copy_has_the_tag_on_top_and_an_accepted_one_has_not(stage: Stage) -> None:
    await stage.take(a=verdict(Action.TAG), b=verdict(Action.ACCEPT))
    assert stage.copies["13"].body == b"X-Gatepost-Tag: suspicious (spf)\r\n" + MARKED
    assert stage.copies["2"].body == MARKED


@pytest.mark.parametrize("action", [Action.QUARANTINE, Action.REFUSE])
async def test_what_is_kept_in_quarantine_says_why(stage: Stage, action: Action) -> None:
    await stage.take(a=verdict(action), b=verdict(action))
    (copy,) = stage.publisher.published
    assert (copy.exchange, copy.key, copy.body) == ("gatepost.to.quarantine", "quarantine", ORIGINAL)
    note = read_note(copy.headers)
    assert note is not None
    assert (note.reason, note.evidence, note.check) == (action.value, "why", "spf")
    assert copy.envelope.results == RESULTS, "what was seen on receipt is kept beside the exact bytes"
    assert copy.envelope.client == ENVELOPE.client


@pytest.mark.parametrize("action", [Action.ACCEPT, Action.TAG, Action.QUARANTINE, Action.REFUSE])
async def test_a_judged_copy_carries_its_verdict_and_why_its_sender_is_proved(stage: Stage, action: Action) -> None:
    await stage.take(proved=Proof.DKIM, a=verdict(action), b=verdict(action))
    (copy,) = stage.publisher.published
    assert copy.envelope.verdict == verdict(action)
    assert copy.envelope.proved is Proof.DKIM


async def test_nobody_awaits_a_verdict_for_a_copy(stage: Stage) -> None:
    await stage.take(a=verdict(Action.ACCEPT), b=verdict(Action.DEFER))
    for copy in stage.publisher.published:
        assert set(copy.headers) == {"envelope"}


@pytest.mark.parametrize(
    ("attempts", "rung"), [(0, "10s"), (1, "60s"), (2, "300s"), (3, "900s"), (4, "900s"), (500, "900s")]
)
async def test_what_cannot_be_judged_climbs_the_ladder_as_it_came(stage: Stage, attempts: int, rung: str) -> None:
    await stage.take(
        replace(ENVELOPE, retry=Retry(attempts=attempts)), a=verdict(Action.DEFER), b=verdict(Action.DEFER)
    )
    (copy,) = stage.publisher.published
    assert (copy.exchange, copy.key) == ("gatepost.to.content-retry", f"gatepost.content.retry.{rung}")
    assert copy.body == ORIGINAL
    assert copy.envelope.verdict is None
    assert (copy.envelope.retry.attempts, copy.envelope.retry.last_reply) == (attempts + 1, "why")
    assert copy.envelope.size_bytes == ENVELOPE.size_bytes
    assert stage.events.of(ID) == [EventKind.RETRY]


async def test_what_cannot_be_judged_for_its_lifetime_goes_to_quarantine(stage: Stage) -> None:
    old = replace(ENVELOPE, received_at=time.time() - 3601)
    await stage.take(old, a=verdict(Action.DEFER), b=verdict(Action.DEFER))
    (copy,) = stage.publisher.published
    note = read_note(copy.headers)
    assert note is not None
    assert (copy.exchange, note.reason) == ("gatepost.to.quarantine", "undecided")
    assert "why" in note.evidence


async def test_a_copy_that_the_broker_does_not_take_is_an_error_and_no_event(stage: Stage) -> None:
    def refuse(published: Published) -> None:
        raise PublishError(PublishFailure.UNAVAILABLE, "down")

    stage.publisher.on_publish = refuse
    with pytest.raises(PublishError):
        await stage.take(a=verdict(Action.ACCEPT), b=verdict(Action.ACCEPT))
    assert not stage.events.told


async def test_a_literal_domain_has_its_verdict_too(stage: Stage) -> None:
    envelope = replace(ENVELOPE, recipients=(Recipient('"a@b"@[IPv6:2001:db8::1]'),))
    by_domain = {"[IPv6:2001:db8::1]": verdict(Action.ACCEPT)}
    await stage.carry_out(Examined(envelope, ORIGINAL, RESULTS, None), by_domain, POLICY)
    assert len(stage.publisher.published) == 1


WITH_PARTS = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nhello\r\n--b\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--b--\r\n"
)


async def test_a_stripped_message_is_delivered_without_the_part_and_held_whole(stage: Stage) -> None:
    reason = Reason(CheckName.ATTACHMENTS, "blocked", Action.TAG, "a.exe (part 2) is not allowed.")
    stripped = Verdict(Action.TAG, (reason,), 7, strip=("2",))
    await stage.take(message=WITH_PARTS, a=stripped, b=stripped)
    held, delivered = stage.publisher.published
    note = read_note(held.headers)
    assert note is not None
    assert (held.exchange, held.body, note.reason) == ("gatepost.to.quarantine", WITH_PARTS, "stripped")
    assert b"MZ" not in delivered.body
    assert b"hello" in delivered.body
    notice = message_from_bytes(delivered.body).get_payload(1)
    assert isinstance(notice, Message)
    assert ID in str(notice.get_payload(decode=True))
    assert stage.events.of(ID) == [EventKind.QUARANTINED, EventKind.QUEUED]


async def test_a_subject_tag_stands_before_the_subject(stage: Stage) -> None:
    tagged = replace(verdict(Action.TAG), subject_tag="[SPAM]")
    await stage.take(a=tagged, b=tagged)
    (copy,) = stage.publisher.published
    assert b"\r\nSubject: [SPAM] x\r\n" in copy.body


async def test_the_verdict_stands_in_the_header_only_where_the_policy_wants_it(stage: Stage) -> None:
    decided = {"a.test": verdict(Action.ACCEPT), "b.test": verdict(Action.ACCEPT)}
    for policy, shown in ((POLICY, False), (parse_policy("verdict.header = true"), True)):
        await stage.carry_out(Examined(ENVELOPE, ORIGINAL, RESULTS, None), decided, policy)
        assert (b"X-Gatepost-Verdict: " in stage.publisher.published[-1].body) is shown


async def test_what_cannot_be_cut_is_held_and_not_delivered(stage: Stage) -> None:
    reason = Reason(CheckName.ATTACHMENTS, "blocked", Action.TAG, "a.exe (part 9) is not allowed.")
    stripped = Verdict(Action.TAG, (reason,), 7, strip=("9",))
    await stage.take(message=WITH_PARTS, a=stripped, b=stripped)
    (held,) = stage.publisher.published
    assert (held.exchange, held.body) == ("gatepost.to.quarantine", WITH_PARTS)
