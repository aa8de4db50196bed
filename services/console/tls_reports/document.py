"""The JSON of a report on TLS (PURE).

Output: `Report`, as it is mailed or posted.
Standards: RFC 8460 §4.4 (schema), §4.5 (policy strings), §5.1 (file name), §5.2 (gzip); RFC 3339 §5.6 (times).
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.console.reports.reporter import Reporter
from services.console.tls_reports.aggregate import Failure, PolicyResults

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Report:
    """A report about one domain's day. content: compressed."""

    domain: str
    reporter: Reporter
    content: bytes

    @property
    def file_name(self) -> str:
        """The file's name. RFC 8460 §5.1: sender!policy-domain!begin!end!unique-id.json.gz."""
        who = self.reporter
        return f"{who.hostname}!{self.domain}!{who.begin}!{who.end}!{who.report_id}.json.gz"


def report_on(domain: str, results: Sequence[PolicyResults], reporter: Reporter) -> Report:
    """Return the report. The same results give the same bytes."""
    return Report(domain, reporter, gzip.compress(document(results, reporter), mtime=0))


def document(results: Sequence[PolicyResults], reporter: Reporter) -> bytes:
    """Return the report's JSON."""
    report: Json = {
        "organization-name": reporter.organization,
        "date-range": {"start-datetime": _time(reporter.begin), "end-datetime": _time(reporter.end)},
        "contact-info": reporter.contact or reporter.email,
        "report-id": reporter.report_id,
        # RFC 8460 §4: a list, also where there is one policy.
        "policies": [_policy(found) for found in results],
    }
    return json.dumps(report, separators=(",", ":")).encode()


def _policy(found: PolicyResults) -> Json:
    policy: Json = {"policy-type": found.policy.kind.value}
    if found.policy.strings:
        policy["policy-string"] = list(found.policy.strings)
    policy["policy-domain"] = found.domain
    if found.policy.mx:
        policy["mx-host"] = list(found.policy.mx)
    told: Json = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": found.successes,
            "total-failure-session-count": found.failed,
        },
    }
    if found.failures:
        told["failure-details"] = [_detail(failure, count) for failure, count in found.failures]
    return told


def _detail(failure: Failure, count: int) -> Json:
    told = {
        "result-type": failure.result.value,
        "sending-mta-ip": failure.sender_ip,
        "receiving-mx-hostname": failure.mx_host,
        "receiving-ip": failure.receiver_ip,
        "failed-session-count": count,
        "failure-reason-code": failure.reason,
    }
    # What is not known, as an address where no connection was made, is left out.
    return {name: value for name, value in told.items() if value != ""}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
