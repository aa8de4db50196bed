"""The mail that carries an aggregate report (PURE). Standards: RFC 9990 §2.6.1."""

from services.console.dmarc.aggregate import Aggregate
from services.console.dmarc.feedback import compressed, feedback, file_name
from services.console.reports.mail import begun, report_envelope
from services.console.reports.reporter import Reporter
from shared.envelope import Envelope


def report_mail(
    found: Aggregate, reporter: Reporter, recipients: list[str], message_id: str, now: float
) -> tuple[Envelope, bytes]:
    """Return a report's envelope and message. message_id: our id for it. now: Unix seconds."""
    domain = found.published.domain
    # RFC 9990 §2.6.1: the subject's form, by which receivers sort reports.
    subject = f"Report Domain: {domain} Submitter: {reporter.hostname} Report-ID: <{reporter.report_id}>"
    message = begun(reporter, recipients, subject, message_id, now)
    message.set_content(
        f"This is a DMARC aggregate report about mail that claimed to come from {domain}.\n"
        f"It is for programs; its first line of contact is {reporter.contact or reporter.email}.\n"
    )
    document = compressed(feedback(found, reporter))
    message.add_attachment(document, maintype="application", subtype="gzip", filename=file_name(domain, reporter))
    data = message.as_bytes()
    return report_envelope(reporter, recipients, message_id, now, len(data)), data
