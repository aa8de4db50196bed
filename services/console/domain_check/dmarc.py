"""Whether a domain's DMARC record can be read, and its reports arrive (PURE over the answers of the look-up).

Standards: RFC 9989 §4.7 and §4.8 (the record), §4.10 (discovery), RFC 9990 §4 (external destinations).
On failure: DNS that gives no answer is unknown.
"""

import re

from services.console.domain_check.check import Check, Topic, dns_silent, ok, warn, wrong
from services.console.domain_check.tags import TagError, read_tags
from services.console.reports.mailto import mailbox
from shared.auth.spf_result import plain
from shared.dns.answer import BadName, DnsTemporary
from shared.dns.replay import Lookup

# RFC 9989 §4.8: v= comes first and its value is case-sensitive.
_RECORD = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_MEANT = re.compile(rb"\s*v?\s*=?\s*d\s*m\s*a\s*r\s*c", re.IGNORECASE)
_POLICIES = ("none", "quarantine", "reject")
_VALUES = {
    **dict.fromkeys(("p", "sp", "np"), _POLICIES),
    **dict.fromkeys(("adkim", "aspf"), ("r", "s")),
    "psd": ("y", "n", "u"),
    "t": ("y", "n"),
}
# RFC 9989 §4.7; pct, rf and ri are of RFC 7489, and are ignored today.
_KNOWN = frozenset({*_VALUES, "v", "rua", "ruf", "fo", "pct", "rf", "ri"})
# RFC 9989 §4.10: the walk asks at most eight times.
_MAX_STEPS = 8


def judge_dmarc(domain: str, lookup: Lookup) -> list[Check]:
    """Return what is to be said of the DMARC record in force for a domain."""
    try:
        texts = lookup(f"_dmarc.{domain}", "TXT").texts()
        records = [text for text in texts if _RECORD.match(text)]
        if not records:
            return [_without(domain, texts, lookup)]
        if len(records) > 1:
            text = f"_dmarc.{domain} has {len(records)} DMARC records, so that none of them counts"
            return [wrong(Topic.DMARC, text, "leave one of them")]
        return _judge(domain, records[0], lookup)
    except DnsTemporary as error:
        return [dns_silent(Topic.DMARC, error)]


def _without(domain: str, texts: tuple[bytes, ...], lookup: Lookup) -> Check:
    proposal = f'publish _dmarc.{domain}. TXT "v=DMARC1; p=none; rua=mailto:postmaster@{domain}"'
    meant = next((text for text in texts if _MEANT.match(text)), None)
    if meant is not None:
        text = f'_dmarc.{domain} has "{plain(meant.decode("utf-8", "replace"), 100)}", which is no DMARC record'
        return wrong(Topic.DMARC, text, 'it must begin with exactly "v=DMARC1;"')
    above = _record_above(domain, lookup)
    if above:
        return ok(Topic.DMARC, f"{domain} has no record of its own; that of {above} holds")
    text = f"{domain} has no DMARC record; large providers ask for one of whoever sends them much mail"
    return warn(Topic.DMARC, text, f"{proposal}; and p=reject once the reports show nothing of yours amiss")


def _record_above(domain: str, lookup: Lookup) -> str:
    """Return the topmost name above a domain that has a record, which its organization goes by; empty without one."""
    labels = domain.split(".")
    found = ""
    for start in range(max(1, len(labels) - _MAX_STEPS), len(labels)):
        name = ".".join(labels[start:])
        if any(_RECORD.match(text) for text in lookup(f"_dmarc.{name}", "TXT").texts()):
            found = found or name
    return found


def _judge(domain: str, record: bytes, lookup: Lookup) -> list[Check]:
    try:
        tags = read_tags(record)
    except TagError as error:
        return [
            wrong(Topic.DMARC, f"the DMARC record cannot be read whole: {error}", "separate its tags by semicolons")
        ]
    checks = [
        _value(name, value) for name, value in tags.items() if value.lower() not in _VALUES.get(name, (value.lower(),))
    ]
    checks += [
        warn(
            Topic.DMARC,
            f"the tag {name} means nothing to anybody",
            f"take it out, or correct it: {', '.join(sorted(_KNOWN))}",
        )
        for name in tags
        if name not in _KNOWN
    ]
    if "p" not in tags:
        # RFC 9989 §4.10.1: without p= it is p=none if reports are asked for, and nothing otherwise.
        text = "the DMARC record has no p=, so that it asks receivers for nothing"
        checks.append(wrong(Topic.DMARC, text, "add p=none, p=quarantine or p=reject behind v=DMARC1;"))
    organization = _record_above(domain, lookup) or domain
    for tag in ("rua", "ruf"):
        if tag in tags:
            checks += [
                check for uri in tags[tag].split(",") if (check := _address(domain, organization, tag, uri, lookup))
            ]
    shown = plain(record.decode("utf-8", "replace"))
    return checks or [ok(Topic.DMARC, f'"{shown}"')]


def _value(name: str, value: str) -> Check:
    allowed = ", ".join(_VALUES[name])
    text = f"the DMARC record says {name}={plain(value, 40)}, which is none of {allowed}"
    if name in ("p", "sp", "np"):
        text += ", so that receivers take it for p=none or for no record at all"
    return wrong(Topic.DMARC, text, f"correct {name}= in it")


def _address(domain: str, organization: str, tag: str, uri: str, lookup: Lookup) -> Check | None:
    address = mailbox(uri)
    if address is None:
        text = f"{tag}= names {plain(uri.strip(), 60)!r}, to which no report can go"
        return wrong(Topic.DMARC, text, f"write {tag}=mailto:reports@{domain}")
    host = address.rpartition("@")[2].lower()
    if tag == "ruf" or host == organization or host.endswith(f".{organization}"):
        return None
    name = f"{domain}._report._dmarc.{host}"
    try:
        agreed = any(_RECORD.match(text) for text in lookup(name, "TXT").texts())
    except BadName:
        agreed = False
    if agreed:
        return None
    # RFC 9990 §4: whoever is outside the domain's organization must have agreed.
    text = f"reports to {address} are not sent, for {host} has not agreed to take those about {domain}"
    return warn(Topic.DMARC, text, f'have its owner publish {name}. TXT "v=DMARC1", or name an address of {domain}')
