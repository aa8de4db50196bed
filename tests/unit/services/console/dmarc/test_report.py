"""Rules of an aggregate report: equal evaluations are one row, and nothing of a stranger breaks the document."""

import gzip
import xml.etree.ElementTree as ET
from dataclasses import replace
from email import message_from_bytes

from hypothesis import given
from hypothesis import strategies as st

from services.console.dmarc.aggregate import aggregate
from services.console.dmarc.feedback import NAMESPACE, feedback
from services.console.dmarc.mail import report_mail
from services.console.reports.reporter import Reporter
from shared.dmarc_seen import DkimSeen, DmarcSeen, Override, Published
from shared.envelope import Proof

SEEN = DmarcSeen(
    published=Published("bank.test", p="reject", sp="none", adkim="s", t="y"),
    organization="bank.test",
    rua=("mailto:dmarc@bank.test",),
    source="192.0.2.1",
    header_from="mail.bank.test",
    envelope_from="bounce.bank.test",
    envelope_to="gatepost.test",
    disposition="reject",
    dkim_aligned=False,
    spf_aligned=True,
    spf_domain="bounce.bank.test",
    spf_result="pass",
    dkim=(DkimSeen("bank.test", "s1", "fail"),),
    overrides=(Override("local_policy", "quarantined by a rule of ours"),),
)
REPORTER = Reporter("mx.gatepost.test", "Gatepost Test", "dmarc@gatepost.test", "", "abc", 86_400, 172_799)


def parsed(document: bytes) -> ET.Element:
    return ET.fromstring(document)


def text(root: ET.Element, path: str) -> str | None:
    return root.findtext("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))


def test_equal_evaluations_are_counted_in_one_row() -> None:
    [found] = aggregate([(SEEN, 2), (replace(SEEN, source="2001:db8::1"), 1), (SEEN, 1)])
    assert [(row.seen.source, row.count) for row in found.rows] == [("192.0.2.1", 3), ("2001:db8::1", 1)]


def test_a_record_that_changed_during_the_day_makes_two_reports() -> None:
    changed = replace(SEEN, published=replace(SEEN.published, p="none"))
    assert [found.published.p for found in aggregate([(SEEN, 1), (changed, 1)])] == ["reject", "none"]


def test_a_report_says_what_was_published_seen_and_done() -> None:
    [found] = aggregate([(SEEN, 2)])
    root = parsed(feedback(found, REPORTER))
    assert root.tag == f"{{{NAMESPACE}}}feedback"
    expected = {
        "report_metadata/org_name": "Gatepost Test",
        "report_metadata/report_id": "abc",
        "report_metadata/date_range/begin": "86400",
        "report_metadata/date_range/end": "172799",
        "policy_published/domain": "bank.test",
        "policy_published/discovery_method": "treewalk",
        "policy_published/p": "reject",
        "policy_published/sp": "none",
        "policy_published/adkim": "s",
        "policy_published/testing": "y",
        "record/row/source_ip": "192.0.2.1",
        "record/row/count": "2",
        "record/row/policy_evaluated/disposition": "reject",
        "record/row/policy_evaluated/dkim": "fail",
        "record/row/policy_evaluated/spf": "pass",
        "record/row/policy_evaluated/reason/type": "local_policy",
        "record/identifiers/header_from": "mail.bank.test",
        "record/identifiers/envelope_from": "bounce.bank.test",
        "record/identifiers/envelope_to": "gatepost.test",
        "record/auth_results/dkim/selector": "s1",
        "record/auth_results/spf/scope": "mfrom",
        "record/auth_results/spf/result": "pass",
    }
    assert {path: text(root, path) for path in expected} == expected
    # What the record does not say, the report does not either.
    assert text(root, "policy_published/np") is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_of_a_stranger_breaks_the_document(selector: str, sender: str) -> None:
    hostile = replace(SEEN, envelope_from=sender, dkim=(DkimSeen("bank.test", selector, "fail"),))
    [found] = aggregate([(hostile, 1)])
    assert text(parsed(feedback(found, REPORTER)), "record/row/count") == "1"


def test_a_report_is_mailed_as_gzip_under_the_name_of_the_standard() -> None:
    [found] = aggregate([(SEEN, 1)])
    envelope, data = report_mail(found, REPORTER, ["dmarc@bank.test"], "01m85rrw9tejgajt89hfcgzyx2", 172_900.0)
    message = message_from_bytes(data)
    assert message["Subject"] == "Report Domain: bank.test Submitter: mx.gatepost.test Report-ID: <abc>"
    part = next(part for part in message.walk() if part.get_content_type() == "application/gzip")
    assert part.get_filename() == "mx.gatepost.test!bank.test!86400!172799!abc.xml.gz"
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert parsed(gzip.decompress(content)).tag.endswith("feedback")
    assert (envelope.sender, envelope.proved) == ("dmarc@gatepost.test", Proof.GATEWAY)
    assert b"\n" not in data.replace(b"\r\n", b"")
