"""Envelopes as the tests of the wire form know them: one full, one least, one as quarantine and a release have it."""

from dataclasses import replace

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
# What came into v1 with the verdict record: an envelope without these is read as before.
RELEASED = replace(
    LEAST,
    verdict=Verdict(
        Action.TAG,
        (
            Reason(
                CheckName.ANTISPAM,
                "scored",
                Action.TAG,
                "Rspamd gave it 7.2: BAYES_SPAM 5.1.",
                rule='domains."a.test".checks.antispam.tag_at',
                input="the whole message, 1,234 octets",
                score=7.2,
                threshold=6.0,
                change="a score below 6",
            ),
            Reason(
                CheckName.SPF,
                "fail",
                Action.ACCEPT,
                "v=spf1 -all",
                rule="checks.spf.fail",
                exemption="partners: they forward",
            ),
        ),
        7,
        strip=("2", "3.1"),
        subject_tag="[SPAM]",
    ),
    results="mx.gatepost.test; spf=fail smtp.mailfrom=a.test",
    bypass=("attachments.blocked", "antivirus"),
    released_by="ann",
)
