"""A held mail goes on from where it stopped: past the named rule alone, at once or after another judgement."""

import io
import re
import zipfile
from email.message import EmailMessage
from email.policy import SMTP as CRLF
from pathlib import Path

import pytest

from infra.local.trace import traced
from tests.e2e.gateway import Gateway, wait_until

_ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{26}\b")


def hollow_archive() -> bytes:
    """A message with an archive of which hardly anything is left once it is packed: `attachments.exceeded`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.txt", bytes(3_000_000))
    message = EmailMessage(policy=CRLF)
    message["From"], message["To"], message["Subject"] = "alice@sender.test", "demo@gatepost.test", "Zeros"
    message["Date"], message["Message-ID"] = "Tue, 24 Nov 2026 12:00:00 +0000", "<zeros@sender.test>"
    message.set_content("See the archive.")
    message.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="zeros.zip")
    return message.as_bytes()


MESSAGE = hollow_archive()


@pytest.fixture
def held(gateway: Gateway) -> str:
    """The id of a mail in quarantine."""
    reply = gateway.send(MESSAGE)
    assert reply.startswith("250 "), reply
    found = _ID.search(reply)
    assert found is not None
    told = traced(gateway.layout, found.group(), "quarantined")
    assert "The rule [checks.attachments] exceeded" in told
    return found.group()


def arrived(gateway: Gateway, message_id: str) -> list[Path]:
    return list((gateway.layout.mail / "gatepost.test" / "demo").glob(f"*/*{message_id}*"))


def held_here(gateway: Gateway, message_id: str) -> bool:
    return message_id in gateway.gatepost("quarantine", "list", "--json").stdout


def test_a_released_mail_arrives_with_the_results_of_its_receipt(gateway: Gateway, held: str) -> None:
    shown = gateway.gatepost("quarantine", "show", held).stdout
    assert "Authentication results on receipt: " in shown
    assert "spf=pass" in shown
    assert gateway.gatepost("quarantine", "release", held, "--rule", "antivirus.infected").returncode == 1
    released = gateway.gatepost("quarantine", "release", held)
    assert released.returncode == 0, released.stderr
    wait_until(lambda: len(arrived(gateway, held)) == 1, 30)
    data = arrived(gateway, held)[0].read_bytes().replace(b"\r\n", b"\n")
    assert data.count(b"Authentication-Results: ") == 1
    assert b"spf=pass" in data
    assert data.endswith(MESSAGE.replace(b"\r\n", b"\n"))
    told = traced(gateway.layout, held, "delivered")
    assert "It was let past attachments.exceeded, and past no other rule" in told


def test_a_mail_is_judged_again_and_let_past_the_rule_that_decided(gateway: Gateway, held: str) -> None:
    assert gateway.gatepost("quarantine", "release", held, "--again").returncode == 0
    wait_until(lambda: len(arrived(gateway, held)) == 1, 30)
    told = traced(gateway.layout, held, "delivered")
    assert "An exemption let it past [checks.attachments] exceeded: released by" in told


def test_a_mail_that_is_judged_again_with_nothing_exempt_is_held_again(gateway: Gateway, held: str) -> None:
    assert gateway.gatepost("quarantine", "release", held, "--again", "--rule", "none").returncode == 0
    wait_until(lambda: held_here(gateway, held), 30)
    assert arrived(gateway, held) == []
    assert gateway.gatepost("quarantine", "delete", held, "--yes").returncode == 0
