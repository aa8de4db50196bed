"""A message's way from the client to the broker and back."""

from shared.broker.topology import Exchange
from shared.envelope import Direction
from shared.event import EventKind
from tests.integration.edge.gate import Gate, id_in

MESSAGE = b"Subject: hello\r\nMessage-ID: <1@away.test>\r\n\r\nHello\r\n..dots\r\n"


async def test_a_message_is_handed_over_with_its_envelope(edge: Gate) -> None:
    async with edge.client() as client:
        reply = await client.mail(MESSAGE)
        assert reply.startswith("250 2.0.0 queued as ")
        assert await client.say("QUIT") == "221 2.0.0 Bye"
        assert await client.is_closed()
    (mail,) = edge.publisher.mails
    envelope = mail.envelope
    assert (mail.exchange, mail.key, mail.persistent) == (Exchange.CONTENT, "content", True)
    assert envelope.id == mail.message_id == id_in(reply)
    assert (envelope.sender, [one.address for one in envelope.recipients]) == ("x@away.test", ["bob@ours.test"])
    assert envelope.direction is Direction.INBOUND
    assert envelope.size_bytes == len(mail.body)
    assert mail.body.endswith(b"Subject: hello\r\nMessage-ID: <1@away.test>\r\n\r\nHello\r\n.dots\r\n")
    assert mail.body.startswith(b"Received: from client.test ([127.0.0.1])\r\n\tby gate.test (Gatepost) with ESMTP id ")
    assert edge.events.of(envelope.id) == [EventKind.RECEIVED, EventKind.ANSWERED]
    facts = edge.events.told[0][2]
    assert (facts["subject"], facts["message_id"]) == ("hello", "<1@away.test>")
