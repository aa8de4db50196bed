"""What the tests of the console begin with: mails that are sent to a running gateway, and where they go on to."""

import re
import smtplib
import subprocess
from email.message import EmailMessage
from email.policy import SMTP as CRLF

from infra.local.clamd import EICAR
from tests.e2e.gateway import Gateway
from tests.e2e.test_quarantine import MESSAGE
from tests.nexthop import NextHop, Step

WAITING = "waits.test"
_ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{26}\b")

# Beside the policy of `make run`: a domain whose server has no time, so that its mail waits; what is infected is held,
# not refused; 127.0.0.1 is never banned, and its neighbours may be; recipients may release what an archive held.
POLICY = """
[domains."waits.test"]
recipients = ["*"]
route = "smtp://127.0.0.1:{port}"

[retry]
steps_s = [5]

[bans]
never = ["127.0.0.1/32"]

[checks.antivirus]
infected = "quarantine"

[quarantine_digest]
enabled = true
hour = 23
shown = ["antivirus", "attachments"]
released = ["attachments"]
"""


class Door(NextHop):
    """A next hop that puts everything off until it is opened."""

    is_open = False

    def step(self, moment: str) -> Step:
        return "451 4.3.2 no time now" if moment == "rcpt" and not self.is_open else super().step(moment)

    def has(self, subject: str) -> bool:
        return any(subject.encode() in mail.message for mail in self.mails)


def id_of(said: str) -> str:
    """Return the id in a reply."""
    found = _ID.search(said)
    assert found, said
    return found[0]


def swaks(
    gateway: Gateway, subject: str, recipient: str = "demo@gatepost.test", sender: str = "alice@sender.test"
) -> str:
    """Send a mail as anybody would; return its id."""
    command = ["swaks", "--server", f"127.0.0.1:{gateway.port}", "--helo", "client.sender.test", "--from", sender,
               "--to", recipient, "--header", f"Subject: {subject}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return id_of(done.stdout + done.stderr)


def hold(gateway: Gateway, subject: str, sender: str = "alice@sender.test", to: str = "demo@gatepost.test") -> str:
    """Send a mail that is held for its archive; return its id."""
    message = MESSAGE.replace(b"Subject: Zeros", b"Subject: " + subject.encode())
    return id_of(gateway.send(message, sender, to))


def hold_infected(gateway: Gateway) -> str:
    """Send a mail that is held for a virus, and is hostile to whoever looks at it; return its id."""
    message = EmailMessage(policy=CRLF)
    message["From"], message["To"], message["Subject"] = "alice@sender.test", "demo@gatepost.test", "<b>Prize</b>"
    message["Date"], message["Message-ID"] = "Tue, 24 Nov 2026 12:00:00 +0000", "<prize@sender.test>"
    message.set_content("Look.")
    message.add_alternative('<script>document.title = "taken"</script><a href="https://evil.test/">Bank</a>', "html")
    message.add_attachment(EICAR, maintype="application", subtype="octet-stream", filename="<i>prize</i>.txt")
    return id_of(gateway.send(message.as_bytes()))


def reply_to(gateway: Gateway, address: str) -> str:
    """Connect from an address of this machine; return what the gateway says to MAIL, or how it turns the client away."""
    try:
        with smtplib.SMTP("127.0.0.1", gateway.port, "client.sender.test", 30, (address, 0)) as smtp:
            smtp.ehlo()
            code, text = smtp.mail("alice@sender.test")
            return f"{code} {text.decode()}"
    except smtplib.SMTPConnectError as error:
        return f"{error.smtp_code} {error.smtp_error!r}"
    except smtplib.SMTPServerDisconnected as error:
        return str(error)
