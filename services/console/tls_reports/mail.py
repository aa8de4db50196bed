"""The mail that carries a report on TLS (PURE). Standards: RFC 8460 §5.3."""

from services.console.reports.mail import begun, report_envelope
from services.console.tls_reports.document import Report
from shared.envelope import Envelope


def report_mail(report: Report, recipients: list[str], message_id: str, now: float) -> tuple[Envelope, bytes]:
    """Return a report's envelope and message. message_id: our id for it. now: Unix seconds."""
    domain, reporter = report.domain, report.reporter
    hostname = reporter.hostname
    # RFC 8460 §5.3: the subject's form; its Report-ID is a msg-id.
    subject = f"Report Domain: {domain} Submitter: {hostname} Report-ID: <{reporter.report_id}@{hostname}>"
    message = begun(reporter, recipients, subject, message_id, now)
    # RFC 8460 §5.3: by these, reports are found.
    message["TLS-Report-Domain"] = domain
    message["TLS-Report-Submitter"] = hostname
    # RFC 8460 §5.3: no failure of TLS keeps a report away; RFC 8689 §3 says so to every host on its way.
    message["TLS-Required"] = "No"
    message.set_content(
        f"This is an aggregate report on TLS from {hostname}, about mail to {domain}.\n"
        f"It is for programs; its first line of contact is {reporter.contact or reporter.email}.\n"
    )
    message.add_attachment(report.content, maintype="application", subtype="tlsrpt+gzip", filename=report.file_name)
    message.replace_header("Content-Type", "multipart/report")
    message.set_param("report-type", "tlsrpt")
    data = message.as_bytes()
    return report_envelope(reporter, recipients, message_id, now, len(data)), data
