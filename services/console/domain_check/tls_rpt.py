"""Whether reports on TLS can reach a domain (PURE over the answers of the look-up).

Standards: RFC 8460 §3. On failure: DNS that gives no answer is unknown.
"""

import re

from services.console.domain_check.check import Check, Topic, dns_silent, ok, warn, wrong
from services.console.domain_check.mta_sts import has_record
from services.console.domain_check.tags import TagError, read_tags
from services.console.reports.mailto import mailbox
from shared.auth.spf_result import plain
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup

_VERSION = re.compile(rb"v=TLSRPTv1[ \t]*(?:;|\Z)")


def judge_tls_rpt(domain: str, lookup: Lookup) -> list[Check]:
    """Return what is to be said of the record that asks for reports on TLS."""
    try:
        return [_judge(domain, lookup)]
    except DnsTemporary as error:
        return [dns_silent(Topic.TLS_RPT, error)]


def _judge(domain: str, lookup: Lookup) -> Check:
    name = f"_smtp._tls.{domain}"
    proposal = f'publish {name}. TXT "v=TLSRPTv1; rua=mailto:postmaster@{domain}"'
    records = [text for text in lookup(name, "TXT").texts() if _VERSION.match(text)]
    if not records:
        if has_record(domain, lookup):
            text = f"{domain} uses MTA-STS, but asks nobody to tell when it keeps mail away"
            return warn(Topic.TLS_RPT, text, proposal)
        return ok(Topic.TLS_RPT, f"{domain} does not ask for reports (optional)")
    if len(records) > 1:
        # RFC 8460 §3: senders then assume that there is none.
        return wrong(Topic.TLS_RPT, f"{name} has {len(records)} records, so none counts", "leave one")
    try:
        uris = [uri.strip() for uri in read_tags(records[0]).get("rua", "").split(",") if uri.strip()]
    except TagError as error:
        return wrong(Topic.TLS_RPT, f"{name}: {error}", proposal)
    bad = [uri for uri in uris if mailbox(uri) is None and not uri.lower().startswith("https://")]
    if not uris or bad:
        text = f"{name}: rua= names {plain(bad[0], 60)!r}, to which no report can go" if bad else f"{name} has no rua="
        return wrong(Topic.TLS_RPT, text, proposal)
    return ok(Topic.TLS_RPT, f"reports go to {plain(', '.join(uris))}")
