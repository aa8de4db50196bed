"""Attacks that once held: a subject that broke the view of held mail, a recipient named for ever."""

from pathlib import Path

from services.console.held import subject_of
from tests.integration.edge.gate import limited
from tests.integration.edge.proxied import CLIENT, client_at, edge_with, rules


def test_a_subject_in_a_charset_that_is_none_is_shown_as_it_stands() -> None:
    """services/console/held.py: CharsetError is an email.errors.MessageError, and no ValueError."""
    assert subject_of("Subject: =?é?q?a?=\r\n\r\nx\r\n".encode()) == "=?é?q?a?="


async def test_a_recipient_that_is_named_again_and_again_counts_as_a_command(certificate: Path) -> None:
    """services/edge/smtp.py: smtp_RCPT takes back the command for a duplicate, too: a session without end."""
    async with edge_with(certificate, rules()) as edge:
        limited(edge, recipient_rate=None, commands=60)
        async with client_at(edge, CLIENT) as client:
            await client.hello()
            await client.say("MAIL FROM:<x@away.test>")
            replies = {(await client.say("RCPT TO:<bob@ours.test>"))[:3] for _ in range(200)}
            assert replies != {"250"}
