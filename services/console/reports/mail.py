"""What the mails that carry reports have in common (PURE). Standards: RFC 3834 §5.2 (Auto-Submitted)."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from services.console.reports.reporter import Reporter
from shared.envelope import Client, Direction, Envelope, Notify, Proof, Recipient


def begun(reporter: Reporter, recipients: list[str], subject: str, message_id: str, now: float) -> EmailMessage:
    """Return a report's message without its content. message_id: our id for it. now: Unix seconds."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"{reporter.organization} <{reporter.email}>" if _plain(reporter.organization) else reporter.email
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject
    message["Date"] = formatdate(now)
    message["Message-ID"] = f"<{message_id}@{reporter.hostname}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def report_envelope(
    reporter: Reporter, recipients: list[str], message_id: str, now: float, size_bytes: int
) -> Envelope:
    """Return the envelope that a report leaves in."""
    return Envelope(
        id=message_id,
        received_at=now,
        listener="console",
        direction=Direction.OUTBOUND,
        client=Client(address="127.0.0.1", port=0, helo=reporter.hostname, name=reporter.hostname),
        sender=reporter.email,
        # Nobody reads a bounce of a report.
        recipients=tuple(Recipient(address, notify=(Notify.NEVER,)) for address in recipients),
        size_bytes=size_bytes,
        proved=Proof.GATEWAY,
    )


def _plain(text: str) -> bool:
    return text.isascii() and text.replace(" ", "").replace("-", "").replace(".", "").isalnum()
