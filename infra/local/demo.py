"""`make demo`: sends clean, forged and infected mail to the running local gateway, and shows each verdict and why.

Owns: the demo's five mails, what must become of each, and showing its trace.
Input: the settings of `make run` (GATEPOST_DATA names their folder). Output: a story for a reader.
On failure: names each mail that met something else than it should, exit 1.
"""

import re
import smtplib
import sys
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP as CRLF
from email.utils import formatdate, make_msgid
from pathlib import Path

import dkim

from infra.local.clamd import EICAR
from infra.local.generate import DKIM_SELECTOR
from infra.local.layout import Layout, layout_of
from infra.local.trace import TraceMissing, traced
from services.edge.settings import EdgeSettings
from shared.errors import SettingsError
from shared.settings import load_settings

_ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{26}\b")
_ARRIVES_WITHIN_S = 30.0
_POLL_S = 0.1


class Unexpected(Exception):
    """Something else happened than had to."""


@dataclass(frozen=True, slots=True)
class Case:
    """A mail and what must become of it. ends_with: the kind of event that its trace ends with."""

    title: str
    sender: str
    recipient: str
    message: bytes
    code: int
    in_reply: str
    in_trace: str
    ends_with: str
    is_delivered: bool = False


def cases(layout: Layout) -> tuple[Case, ...]:
    """Return the demo's mails, made anew."""
    ours, alice, bank = "demo@gatepost.test", "alice@sender.test", "ceo@bank.test"
    clean = _message(alice, "A signed mail", "Hello from a sender who does everything right.")
    infected = _message(alice, "Your invoice", "See the attachment.", attachment=EICAR)
    forged = _message(bank, "Your account", "This does not come from the bank.")
    plain = _message(alice, "Hello", "Hello.")
    return (
        Case(
            title="clean mail, signed by its sender's domain, is delivered",
            sender=alice,
            recipient=ours,
            message=_signed(clean, layout),
            code=250,
            in_reply="queued as",
            in_trace="delivered",
            ends_with="delivered",
            is_delivered=True,
        ),
        Case(
            title="forged mail of a domain that asks for refusal (p=reject) is refused",
            sender=bank,
            recipient=ours,
            message=forged,
            code=550,
            in_reply="DMARC",
            in_trace="bank.test asks for reject",
            ends_with="dropped",
        ),
        Case(
            title="infected mail (the EICAR test file) is refused",
            sender=alice,
            recipient=ours,
            message=_signed(infected, layout),
            code=550,
            in_reply="malware",
            in_trace="Eicar",
            ends_with="dropped",
        ),
        Case(
            title="mail to somebody whom we do not know is refused",
            sender=alice,
            recipient="nobody@gatepost.test",
            message=plain,
            code=550,
            in_reply="unknown recipient",
            in_trace="nobody@gatepost.test",
            ends_with="command-refused",
        ),
        Case(
            title="mail to a domain that is not ours is not relayed",
            sender=alice,
            recipient="someone@elsewhere.test",
            message=plain,
            code=550,
            in_reply="Relaying denied",
            in_trace="someone@elsewhere.test",
            ends_with="command-refused",
        ),
    )


def send(port: int, case: Case) -> str:
    """Send a mail and return the reply that decided about it, code and text."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.sender.test", timeout=60) as smtp:
        smtp.ehlo()
        smtp.mail(case.sender)
        code, text = smtp.rcpt(case.recipient)
        if code == 250:
            code, text = smtp.data(case.message)
    return f"{code} {text.decode('utf-8', 'replace')}"


def play(layout: Layout, port: int, case: Case) -> None:
    """Send one mail and show what became of it. Raises Unexpected, TraceMissing, OSError, SMTPException."""
    reply = send(port, case)
    print(f"  from {case.sender} to {case.recipient}\n  answer in the session: {reply}")
    if not reply.startswith(f"{case.code} ") or case.in_reply not in reply:
        raise Unexpected(f"expected {case.code} {case.in_reply}")
    found = _ID.search(reply)
    if found is None:
        raise Unexpected("the reply names no id")
    told = traced(layout, found.group(), case.ends_with)
    print(f"  gatepost trace {found.group()}:")
    print("\n".join(f"    {line}".rstrip() for line in told.splitlines()))
    if case.in_trace.lower() not in told.lower():
        raise Unexpected(f"expected {case.in_trace!r} in the trace")
    if case.is_delivered:
        _show_mailbox(layout, found.group())


def main() -> int:
    """Play all cases; return the exit code."""
    layout = layout_of()
    try:
        port = load_settings(EdgeSettings, layout.settings_file("edge"), {}).listeners["mx"].port
        todo = cases(layout)
    except (SettingsError, OSError) as error:
        print(f"make demo: {error}\nIs the gateway running? Start it with: make run", file=sys.stderr)
        return 1
    failed = 0
    for number, case in enumerate(todo, 1):
        print(f"\n{number}. {case.title}")
        try:
            play(layout, port, case)
            print("  as it should be.")
        except ConnectionRefusedError:
            print(f"  nothing listens on 127.0.0.1:{port}; start the gateway with: make run")
            failed += 1
        except (Unexpected, TraceMissing, OSError, smtplib.SMTPException) as error:
            print(f"  NOT as it should be: {error}")
            failed += 1
    print(f"\n{len(todo) - failed} of {len(todo)} as they should be.")
    return 1 if failed else 0


def _message(author: str, subject: str, text: str, attachment: bytes | None = None) -> bytes:
    message = EmailMessage(policy=CRLF)
    message["From"] = author
    message["To"] = "demo@gatepost.test"
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=author.rpartition("@")[2])
    message.set_content(text)
    if attachment is not None:
        message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="invoice.com")
    return message.as_bytes()


def _signed(message: bytes, layout: Layout) -> bytes:
    key = layout.dkim_key.read_bytes()
    fields = [b"from", b"to", b"subject", b"date", b"message-id"]
    signature = dkim.sign(
        *(message, DKIM_SELECTOR.encode(), b"sender.test", key),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=fields,
    )
    return bytes(signature) + message


def _show_mailbox(layout: Layout, message_id: str) -> None:
    path = _arrived(layout.mail / "gatepost.test" / "demo", message_id)
    headers = BytesHeaderParser().parsebytes(path.read_bytes())
    results = " ".join(str(headers.get("Authentication-Results", "")).split())
    print(f"  {path}\n    Authentication-Results: {results}")
    for wanted in ("spf=pass", "dkim=pass", "dmarc=pass"):
        if wanted not in results:
            raise Unexpected(f"expected {wanted} in Authentication-Results")


def _arrived(mailbox: Path, message_id: str) -> Path:
    give_up_at = time.monotonic() + _ARRIVES_WITHIN_S
    while time.monotonic() < give_up_at:
        # A mail reader that is open on the mailbox moves it to cur/.
        for path in (*mailbox.glob(f"new/*{message_id}*"), *mailbox.glob(f"cur/*{message_id}*")):
            return path
        time.sleep(_POLL_S)
    raise Unexpected(f"nothing arrived in {mailbox} within {_ARRIVES_WITHIN_S:g} s")


if __name__ == "__main__":
    sys.exit(main())
