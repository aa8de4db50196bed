"""The mail that carries an aggregate report (PURE). Standards: RFC 9990 §2.6.1, RFC 3834 §5.2 (Auto-Submitted)."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from services.console.dmarc.aggregate import Aggregate
from services.console.dmarc.feedback import Reporter, compressed, feedback, file_name
from shared.envelope import Client, Direction, Envelope, Notify, Proof, Recipient


def report_mail(
    found: Aggregate, reporter: Reporter, recipients: list[str], message_id: str, now: float
) -> tuple[Envelope, bytes]:
    """Return a report's envelope and message. message_id: our id for it. now: Unix seconds."""
    domain, hostname = found.published.domain, reporter.hostname
    message = EmailMessage(policy=SMTP)
    message["From"] = f"{reporter.organization} <{reporter.email}>" if _plain(reporter.organization) else reporter.email
    message["To"] = ", ".join(recipients)
    # RFC 9990 §2.6.1: the subject's form, by which receivers sort reports.
    message["Subject"] = f"Report Domain: {domain} Submitter: {hostname} Report-ID: <{reporter.report_id}>"
    message["Date"] = formatdate(now)
    message["Message-ID"] = f"<{message_id}@{hostname}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"This is a DMARC aggregate report about mail that claimed to come from {domain}.\n"
        f"It is for programs; its first line of contact is {reporter.contact or reporter.email}.\n"
    )
    document = compressed(feedback(found, reporter))
    message.add_attachment(document, maintype="application", subtype="gzip", filename=file_name(domain, reporter))
    data = message.as_bytes()
    return _envelope(reporter, recipients, message_id, now, len(data)), data


def _plain(text: str) -> bool:
    return text.isascii() and text.replace(" ", "").replace("-", "").replace(".", "").isalnum()


def _envelope(reporter: Reporter, recipients: list[str], message_id: str, now: float, size_bytes: int) -> Envelope:
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
