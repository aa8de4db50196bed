"""One full and one least envelope, as the tests of the wire form know them."""

from shared.envelope import Body, Client, Direction, Envelope, Notify, Proof, Recipient, Ret, Retry
from shared.verdict import Action, CheckName, Reason, Verdict

ID = "01m85rrw9tejgajt89hfcgzyx2"
LEAST = Envelope(
    id=ID,
    received_at=1_795_000_000.5,
    listener="mx",
    direction=Direction.INBOUND,
    client=Client("192.0.2.1", 40_000, "mail.sender.test"),
    sender="",
    recipients=(Recipient("demo@gatepost.test"),),
    size_bytes=1234,
)
FULL = Envelope(
    id=ID,
    received_at=1_795_000_000.5,
    listener="submission",
    direction=Direction.OUTBOUND,
    client=Client(
        address="2001:db8::1",
        port=40_000,
        helo="[IPv6:2001:db8::1]",
        esmtp=False,
        name="client.sender.test",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
        login="demo@gatepost.test",
    ),
    sender="jürgen@sender.test",
    recipients=(
        Recipient('"a b"@gatepost.test', (Notify.SUCCESS, Notify.FAILURE, Notify.DELAY), "rfc822;a+20b@gatepost.test"),
        Recipient("dømi@gatepost.test", (Notify.NEVER,)),
    ),
    size_bytes=1234,
    body=Body.EIGHT_BIT,
    smtputf8=True,
    requiretls=True,
    ret=Ret.HEADERS,
    envid="QQ314159",
    proved=Proof.LOGIN,
    verdict=Verdict(Action.TAG, (Reason(CheckName.SPF, "softfail", Action.TAG, 'says "perhaps"'),), 7),
    hop="smtp://mail.gatepost.test:25",
    parent="01m85rrw9tejgajt89hfcgzyx3",
    retry=Retry(attempts=3, not_before=1_795_000_300.25, last_reply="451 4.3.0 later", delay_notice_sent=True),
)
