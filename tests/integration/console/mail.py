"""Envelopes, mail and events as the stages make them."""

import itertools
import time
from typing import Any

from shared.envelope import Client, Direction, Envelope, Proof, Recipient
from shared.event import Event, EventKind, Stage
from shared.ids import make_id
from shared.verdict import Action, CheckName, Reason, Verdict
from shared.wire import QuarantineNote

MESSAGE = (
    b"From: Mallory <m@example.org>\r\nTo: demo@gatepost.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <1@example.org>\r\n\r\nbody \x1b[31mred\x1b[0m \xff\r\n"
)
RESULTS = "gate.gatepost.test; spf=pass smtp.mailfrom=example.org"
NOTE = QuarantineNote("refuse", "Eicar-Test-Signature in a mail that was accepted after the deadline", "antivirus")
VERDICT = Verdict(
    Action.REFUSE,
    (
        Reason(
            CheckName.ANTIVIRUS, "infected", Action.REFUSE, "Eicar-Test-Signature", "checks.antivirus.infected",
            input="the message, 512 octets", change="the message without it",
        ),
    ),
    policy_version=3,
)  # fmt: skip

_numbers = itertools.count()


def envelope(message_id: str, *recipients: str, verdict: Verdict | None = VERDICT) -> Envelope:
    return Envelope(
        id=message_id,
        received_at=1_800_000_000.0,
        listener="mx",
        direction=Direction.INBOUND,
        client=Client("192.0.2.7", 4711, "mail.example.org", tls="TLSv1.3 TLS_AES_256_GCM_SHA384"),
        sender="m@example.org",
        recipients=tuple(map(Recipient, recipients or ("demo@gatepost.test",))),
        size_bytes=len(MESSAGE),
        proved=Proof.SPF,
        verdict=verdict,
        results=RESULTS,
    )


def event(message_id: str, stage: Stage, kind: EventKind, at: float, /, **facts: Any) -> Event:
    # What one stage tells within a millisecond stands in the order in which it told it.
    uid = make_id(time.time_ns() // 1_000_000, next(_numbers))
    return Event(uid, message_id, at, stage, "host1", kind, facts)


def delivered_story(message_id: str, at: float = 1_800_000_000.0) -> list[Event]:
    """The facts of a message that was delivered."""
    demo = "demo@gatepost.test"
    reason = {"check": "dmarc", "result": "pass", "action": "accept", "evidence": "example.org aligned by SPF"}
    hop = "smtp://192.0.2.25:25"
    return [
        event(
            message_id, Stage.EDGE, EventKind.RECEIVED, at, client="192.0.2.7", listener="mx", helo="mail.example.org",
            tls="TLSv1.3", login=None, sender="m@example.org", recipients=[demo], size_bytes=512, subject="Grüße",
            message_id="<1@example.org>",
        ),
        event(
            message_id, Stage.CONTENT, EventKind.CHECKED, at + 0.1,
            findings=[{"check": "antivirus", "result": "clean", "evidence": "clamd found nothing", "took_ms": 2.0}],
        ),
        event(
            message_id, Stage.CONTENT, EventKind.JUDGED, at + 0.2,
            verdicts={"gatepost.test": {"action": "accept", "reasons": [reason]}}, policy_version=3, took_ms=9.5,
        ),
        event(message_id, Stage.EDGE, EventKind.ANSWERED, at + 0.3, reply=f"250 2.0.0 queued as {message_id}",
              waited_s=0.2, verdict="accept"),
        event(message_id, Stage.CONTENT, EventKind.QUEUED, at + 0.4, to="delivery", recipients=[demo]),
        event(message_id, Stage.DELIVERY, EventKind.ATTEMPT, at + 0.5, hop=hop, peer="192.0.2.25", tls="TLSv1.3",
              outcomes=[{"recipient": demo, "status": "delivered", "reply": "250 2.0.0 Ok: 77"}], took_ms=3.0),
        event(message_id, Stage.DELIVERY, EventKind.DELIVERED, at + 0.6, hop=hop, recipients=[demo],
              reply="250 2.0.0 Ok: 77"),
    ]  # fmt: skip
