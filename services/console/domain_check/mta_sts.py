"""Whether a domain's MTA-STS policy can be fetched, and names the domain's own exchanges (PURE).

Input: the answers of the look-up, and what the fetch of the policy gave. Standards: RFC 8461 §3.1 (record), §3.2
(policy), §3.3 (fetch), §4.1 (names).
On failure: DNS that gives no answer is unknown.
"""

from dataclasses import dataclass

from services.console.domain_check.check import Check, Topic, dns_silent, ok, warn, wrong
from services.console.domain_check.mx import exchanges
from shared.auth.spf_result import plain
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup
from shared.mta_sts import MAX_AGE_S, PolicyInvalid, StsMode, announced_id, announcing, names, read_policy

# RFC 8461 §3.2: weeks are advised, below a day it protects from little.
_SHORT_S = 86_400


@dataclass(frozen=True, slots=True)
class FetchedPolicy:
    """What came of the fetch. problem: why there is no content."""

    content: bytes = b""
    problem: str = ""


def policy_url(domain: str) -> str:
    """Return where the policy of a domain stands."""
    return f"https://mta-sts.{domain}/.well-known/mta-sts.txt"


def has_record(domain: str, lookup: Lookup) -> bool:
    """Whether a domain says that it has a policy. Raises DnsTemporary."""
    return bool(announcing(lookup(f"_mta-sts.{domain}", "TXT").texts()))


def judge_mta_sts(domain: str, fetched: FetchedPolicy | None, lookup: Lookup) -> list[Check]:
    """Return what is to be said of MTA-STS. fetched: None where there is no record, so that nobody fetches a policy."""
    try:
        records = announcing(lookup(f"_mta-sts.{domain}", "TXT").texts())
        if not records or fetched is None:
            return [ok(Topic.MTA_STS, f"{domain} does not use it (optional; it keeps TLS from being stripped)")]
        if len(records) > 1:
            # RFC 8461 §3.1: senders then assume that there is none.
            return [wrong(Topic.MTA_STS, f"_mta-sts.{domain} has {len(records)} records, so none counts", "leave one")]
        if announced_id(records) is None:
            text = f'the record is not as it must be: "{plain(records[0].decode("utf-8", "replace"), 100)}"'
            return [wrong(Topic.MTA_STS, text, f'publish _mta-sts.{domain}. TXT "v=STSv1; id=20260101T000000;"')]
        return _judge(domain, fetched, exchanges(domain, lookup))
    except DnsTemporary as error:
        return [dns_silent(Topic.MTA_STS, error)]


def _judge(domain: str, fetched: FetchedPolicy, hosts: tuple[str, ...]) -> list[Check]:
    url = policy_url(domain)
    if fetched.problem:
        text = f"the record says that there is a policy, but {url} gives none: {fetched.problem}"
        mend = "serve it there, with a certificate for that name, as text/plain, without a redirect"
        return [wrong(Topic.MTA_STS, text, f"{mend}; or take the record out")]
    try:
        policy = read_policy(fetched.content)
    except PolicyInvalid as error:
        return [wrong(Topic.MTA_STS, f"{url} cannot be used: {error}", "correct it, then give the record a new id")]
    if policy.mode is StsMode.NONE:
        return [ok(Topic.MTA_STS, f"{url} says mode: none, so nothing is demanded")]
    checks = []
    left_out = [name for name in hosts if not names(policy.mx, name)]
    if left_out:
        meant = (
            "senders do not deliver to it" if policy.mode is StsMode.ENFORCE else "senders report it (mode: testing)"
        )
        text = f"{url} does not name the MX {', '.join(left_out[:10])} (it names {', '.join(policy.mx[:10])}): {meant}"
        checks.append(wrong(Topic.MTA_STS, text, f"add `mx: {left_out[0]}` to it, then give the record a new id"))
    idle = [pattern for pattern in policy.mx if not any(names([pattern], host) for host in hosts)]
    if idle and hosts and not left_out:
        text = f"{url} names {', '.join(idle[:10])}, which no MX of {domain} is"
        checks.append(warn(Topic.MTA_STS, text, "take it out, unless it is about to become one"))
    if policy.max_age_s < _SHORT_S:
        text = f"max_age is {policy.max_age_s} s, so short that it protects little"
        checks.append(warn(Topic.MTA_STS, text, "make it some weeks: max_age: 2592000"))
    if policy.max_age_s > MAX_AGE_S:
        text = f"max_age is {policy.max_age_s} s, and a year is the most that counts"
        checks.append(wrong(Topic.MTA_STS, text, "make it some weeks: max_age: 2592000"))
    return checks or [ok(Topic.MTA_STS, f"{url}: mode {policy.mode}, names {', '.join(policy.mx[:10])}")]
