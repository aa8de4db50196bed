"""A report on TLS, octet by octet, and the mail that carries it (RFC 8460 §4.4, §5.1, §5.3)."""

import gzip
import json
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from services.console.reports.reporter import Reporter, reporter
from services.console.tls_reports.document import document, report_on
from services.console.tls_reports.mail import report_mail
from shared.envelope import Direction, Notify, Proof
from shared.policy.delivery import TlsReportRules
from shared.tls_seen import TlsPolicy, TlsResult
from tests.unit.services.console.tls_reports.test_aggregate import BAD, DANE, GOOD, aggregated

GOLDEN = Path(__file__).parents[1] / "golden" / "tls_report.json"
DAY = 20_000
WHO = Reporter(
    "mx.gatepost.test", "Gatepost Test", "tls@gatepost.test", "", "5f1e", DAY * 86_400, (DAY + 1) * 86_400 - 1
)
RESULTS = aggregated(
    (GOOD, 5326),
    (BAD, 100),
    (replace(BAD, result=TlsResult.STS_FETCH, sender_ip="", receiver_ip="", mx_host="", reason="it answered 404"), 3),
    (replace(GOOD, policy=replace(DANE, domain="mx2.bank.test"), mx_host="mx2.bank.test"), 12),
    (replace(BAD, policy=TlsPolicy(), result=TlsResult.STARTTLS_NOT_SUPPORTED, reason=""), 1),
)


def test_a_report_is_in_the_form_of_the_standard() -> None:
    assert json.dumps(json.loads(document(RESULTS, WHO)), indent=2) + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_the_same_report_is_the_same_octets_under_the_same_id() -> None:
    rules = TlsReportRules(enabled=True)
    whos = [reporter(rules, "mx.gatepost.test", "tls-reports", DAY, "tls", "bank.test", DAY) for _ in range(2)]
    first, second = (report_on("bank.test", RESULTS, who) for who in whos)
    assert first == second
    assert whos[0].email == "tls-reports@mx.gatepost.test"
    assert gzip.decompress(first.content) == document(RESULTS, whos[0])


def test_a_report_says_who_we_are_as_the_policy_does() -> None:
    rules = TlsReportRules(sender="tls@ours.test", organization="Ours Ltd", contact="+49 1 23")
    who = reporter(rules, "mx.gatepost.test", "tls-reports", DAY, "tls", "bank.test", DAY)
    report = report_on("bank.test", RESULTS, who)
    envelope, data = report_mail(report, ["tls@bank.test"], "01m85rrw9tejgajt89hfcgzyx2", 1_728_100_000.0)
    assert (envelope.sender, message_from_bytes(data)["From"]) == ("tls@ours.test", "Ours Ltd <tls@ours.test>")
    said = json.loads(gzip.decompress(report.content))
    assert (said["organization-name"], said["contact-info"]) == ("Ours Ltd", "+49 1 23")


def test_a_report_is_mailed_as_the_standard_wants_it() -> None:
    report = report_on("bank.test", RESULTS, WHO)
    _, data = report_mail(report, ["tls@bank.test"], "01m85rrw9tejgajt89hfcgzyx2", 1_728_100_000.0)
    message = message_from_bytes(data)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert message["TLS-Report-Domain"] == "bank.test"
    assert message["TLS-Report-Submitter"] == "mx.gatepost.test"
    assert message["TLS-Required"] == "No"
    subject = " ".join(str(message["Subject"]).split())
    assert subject == "Report Domain: bank.test Submitter: mx.gatepost.test Report-ID: <5f1e@mx.gatepost.test>"
    [text, attached] = [part for part in message.walk() if not part.is_multipart()]
    assert text.get_content_type() == "text/plain"
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    assert attached.get_filename() == "mx.gatepost.test!bank.test!1728000000!1728086399!5f1e.json.gz"
    assert attached.get_payload(decode=True) == report.content
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_a_report_leaves_so_that_delivery_signs_it_and_nobody_gets_a_bounce() -> None:
    envelope, data = report_mail(report_on("bank.test", RESULTS, WHO), ["tls@bank.test"], "id", 0.0)
    assert message_from_bytes(data)["From"] == "Gatepost Test <tls@gatepost.test>"
    assert (envelope.sender, envelope.proved) == ("tls@gatepost.test", Proof.GATEWAY)
    assert (envelope.direction, envelope.size_bytes) == (Direction.OUTBOUND, len(data))
    assert [(one.address, one.notify) for one in envelope.recipients] == [("tls@bank.test", (Notify.NEVER,))]


@given(st.text(max_size=80))
def test_no_text_of_a_stranger_breaks_the_report(text: str) -> None:
    [found] = aggregated((replace(BAD, reason=text, mx_host=text), 1))
    [detail] = json.loads(document([found], WHO))["policies"][0]["failure-details"]
    assert detail.get("failure-reason-code", "") == text
