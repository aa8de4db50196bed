"""The XML of an aggregate report (PURE). Standards: RFC 9990 §3.1 and its schema, namespace dmarc-2.0.

Everything in it comes from strangers: characters that XML 1.0 §2.2 does not know are left out.
"""

import gzip
import re
import xml.etree.ElementTree as ET

from services.console.dmarc.aggregate import Aggregate, Row
from services.console.reports.reporter import Reporter

NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_LIMIT = 500


def feedback(found: Aggregate, reporter: Reporter) -> bytes:
    """Return the report's XML document."""
    root = ET.Element("feedback", {"xmlns": NAMESPACE})
    _add(root, "version", "1.0")
    metadata = ET.SubElement(root, "report_metadata")
    _add(metadata, "org_name", reporter.organization)
    _add(metadata, "email", reporter.email)
    if reporter.contact:
        _add(metadata, "extra_contact_info", reporter.contact)
    _add(metadata, "report_id", reporter.report_id)
    span = ET.SubElement(metadata, "date_range")
    _add(span, "begin", str(reporter.begin))
    _add(span, "end", str(reporter.end))
    if found.left_out:
        _add(metadata, "error", f"{found.left_out} further messages had other results, which are left out")
    _add(metadata, "generator", "Gatepost")
    _published(root, found)
    for row in found.rows:
        _record(root, row)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def compressed(document: bytes) -> bytes:
    """Return the report as it is mailed (RFC 9990 §2.6.1: gzip). The same document gives the same bytes."""
    return gzip.compress(document, mtime=0)


def file_name(domain: str, reporter: Reporter) -> str:
    """Return the file's name. RFC 9990 §2.6.1: receiver!policy-domain!begin!end!unique-id.xml.gz."""
    return f"{reporter.hostname}!{domain}!{reporter.begin}!{reporter.end}!{reporter.report_id}.xml.gz"


def _published(root: ET.Element, found: Aggregate) -> None:
    policy = ET.SubElement(root, "policy_published")
    published = found.published
    _add(policy, "domain", published.domain)
    # RFC 9989 §4.10: the tree walk is how a policy is found.
    _add(policy, "discovery_method", "treewalk")
    for tag in ("p", "sp", "np", "adkim", "aspf", "fo"):
        if value := getattr(published, tag):
            _add(policy, tag, value)
    if published.t:
        _add(policy, "testing", published.t)


def _record(root: ET.Element, row: Row) -> None:
    seen = row.seen
    record = ET.SubElement(root, "record")
    head = ET.SubElement(record, "row")
    _add(head, "source_ip", seen.source)
    _add(head, "count", str(row.count))
    evaluated = ET.SubElement(head, "policy_evaluated")
    _add(evaluated, "disposition", seen.disposition)
    _add(evaluated, "dkim", "pass" if seen.dkim_aligned else "fail")
    _add(evaluated, "spf", "pass" if seen.spf_aligned else "fail")
    for override in seen.overrides:
        reason = ET.SubElement(evaluated, "reason")
        _add(reason, "type", override.kind)
        if override.comment:
            _add(reason, "comment", override.comment)
    identifiers = ET.SubElement(record, "identifiers")
    if seen.envelope_to:
        _add(identifiers, "envelope_to", seen.envelope_to)
    _add(identifiers, "envelope_from", seen.envelope_from)
    _add(identifiers, "header_from", seen.header_from)
    results = ET.SubElement(record, "auth_results")
    for signature in seen.dkim:
        dkim = ET.SubElement(results, "dkim")
        _add(dkim, "domain", signature.domain)
        _add(dkim, "selector", signature.selector)
        _add(dkim, "result", signature.result)
    if seen.spf_domain:
        spf = ET.SubElement(results, "spf")
        _add(spf, "domain", seen.spf_domain)
        _add(spf, "scope", "mfrom")
        _add(spf, "result", seen.spf_result)


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = _NO_XML.sub("", text)[:_TEXT_LIMIT]
