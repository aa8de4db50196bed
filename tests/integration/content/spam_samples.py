"""Questions for antispam engines."""

from collections.abc import Sequence

from services.content.auth.arc_result import ArcResult
from services.content.auth.results import DkimResult, DmarcResult
from services.content.spam import SpamRequest
from shared.auth.spf_result import SpfResult
from shared.envelope import Client, Direction, Envelope, Recipient

HEAD = (
    "Received: from mail.sender.test (mail.sender.test [52.10.20.30])\r\n\tby gate.gatepost.test (Gatepost) with ESMTP id 0123;"
    " Tue, 24 Nov 2026 09:00:00 +0000\r\n"
    "From: Alice <alice@sender.test>\r\nTo: Bob <bob@gatepost.test>\r\nSubject: Report\r\n"
    "Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <0123456789.report@sender.test>\r\n\r\n"
)
PLAIN = (HEAD + "The quarterly report is attached, as we said on Monday. Best regards, Alice\r\n").encode()


def message(text: str) -> bytes:
    return (HEAD + text + "\r\n").encode()


def request(
    data: bytes = PLAIN,
    *,
    sender: str = "alice@sender.test",
    recipients: Sequence[str] = ("bob@gatepost.test",),
    client: Client | None = None,
    spf: SpfResult | None = None,
    dkim: Sequence[DkimResult] = (),
    dmarc: DmarcResult | None = None,
    arc: ArcResult | None = None,
    client_name: str | None = None,
) -> SpamRequest:
    envelope = Envelope(
        id="06etestid0000000000000000",
        received_at=1_800_000_000.0,
        listener="mx",
        direction=Direction.INBOUND,
        client=client or Client("192.0.2.1", 4711, "mail.sender.test"),
        sender=sender,
        recipients=tuple(map(Recipient, recipients)),
        size_bytes=len(data),
    )
    return SpamRequest(envelope, data, spf, dkim, dmarc, arc, client_name)
