"""Whether a domain's SPF record lets our mail pass, and nobody else's (PURE over the answers of the look-up).

Standards: RFC 7208 §3.2 and §4.5 (one record), §4.6.4 (10 look-ups), §5.1 (all).
On failure: DNS that gives no answer is unknown.
"""

import re
from ipaddress import IPv4Address

from services.console.domain_check.check import Check, Topic, dns_silent, ok, unknown, warn, wrong
from services.console.domain_check.subject import Subject
from shared.auth.spf import evaluate_spf
from shared.auth.spf_result import SpfResult, SpfWord, plain
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup

_RECORD = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
# RFC 1112 §4: of the reserved block, so that nobody sends from it, and a record is read to its end for it.
_STRANGER = "240.0.0.1"


def judge_spf(subject: Subject, helo: str, lookup: Lookup) -> list[Check]:
    """Return what is to be said of the SPF record. helo: the name that our mail greets with."""
    domain = subject.domain
    try:
        records = [text for text in lookup(domain, "TXT").texts() if _RECORD.match(text)]
    except DnsTemporary as error:
        return [dns_silent(Topic.SPF, error)]
    if not records:
        text = f"{domain} has no SPF record, so that anybody may send as it"
        return [wrong(Topic.SPF, text, f'publish {domain}. TXT "{_proposal(subject)}"')]
    if len(records) > 1:
        # RFC 7208 §4.5: more than one record is a permerror.
        shown = ", ".join(f'"{plain(record.decode("utf-8", "replace"), 100)}"' for record in records[:5])
        text = f"{domain} has {len(records)} SPF records, which counts as an error: {shown}"
        return [wrong(Topic.SPF, text, "make one of them, with the terms of all, and take the others out")]
    stranger = _evaluate(subject, _STRANGER, helo, lookup)
    if stranger.word is SpfWord.PERMERROR:
        return [_broken(domain, stranger)]
    checks = [check for check in (_of_strangers(domain, stranger), _without_sendings(subject)) if check is not None]
    checks += [
        check
        for sending in subject.sendings
        if (check := _of_ours(subject, str(sending.address), sending.name or helo, lookup)) is not None
    ]
    addresses = ", ".join(str(sending.address) for sending in subject.sendings)
    return checks or [ok(Topic.SPF, f'{addresses} may send: "{plain(records[0].decode("utf-8", "replace"))}"')]


def _broken(domain: str, result: SpfResult) -> Check:
    text = f"the SPF record is in error: {result.evidence}"
    if "look" in result.evidence.lower() or "too many" in result.evidence.lower():
        # RFC 7208 §4.6.4: at most 10 terms that query DNS, and 2 that find nothing.
        mend = "a record may ask DNS 10 times, its includes with it, and find nothing twice: name addresses instead"
    else:
        mend = f"correct the TXT record of {domain}; each term is ip4:, ip6:, a, mx, include: or all"
    return wrong(Topic.SPF, text, mend)


def _of_strangers(domain: str, result: SpfResult) -> Check | None:
    match result.word:
        case SpfWord.PASS:
            text = f"the SPF record of {domain} lets everybody pass ({result.mechanism or 'all'})"
            return wrong(Topic.SPF, text, "let it end in -all, or ~all while you look, in place of that")
        case SpfWord.NEUTRAL:
            text = f"the SPF record of {domain} says nothing of other senders, so it protects nobody"
            return warn(Topic.SPF, text, "let it end in -all, or ~all while you look")
        case SpfWord.TEMPERROR:
            return unknown(Topic.SPF, f"not to be evaluated now: {result.evidence}", "run the check again")
        case _:
            return None


def _without_sendings(subject: Subject) -> Check | None:
    if subject.sendings:
        return None
    text = "the policy does not say from which addresses our mail comes, so nobody knows whether they may send"
    return unknown(Topic.SPF, text, 'name them: [gateway] addresses = ["192.0.2.25"], or [interfaces]')


def _of_ours(subject: Subject, address: str, helo: str, lookup: Lookup) -> Check | None:
    result = _evaluate(subject, address, helo, lookup)
    if result.word is SpfWord.PASS:
        return None
    if result.word is SpfWord.TEMPERROR:
        return unknown(Topic.SPF, f"{address}: {result.evidence}", "run the check again")
    if result.word is SpfWord.PERMERROR:
        return _broken(subject.domain, result)
    text = f"our mail from {address} does not pass: {result.word} ({result.evidence})"
    return wrong(Topic.SPF, text, f"add {_term(address)} to the SPF record of {subject.domain}, before its all")


def _evaluate(subject: Subject, address: str, helo: str, lookup: Lookup) -> SpfResult:
    return evaluate_spf(address, f"postmaster@{subject.domain}", helo, lookup)


def _proposal(subject: Subject) -> str:
    terms = [_term(str(sending.address)) for sending in subject.sendings] or ["mx"]
    return " ".join(["v=spf1", *terms, "-all"])


def _term(address: str) -> str:
    return f"ip6:{address}" if ":" in address else f"ip4:{IPv4Address(address)}"
