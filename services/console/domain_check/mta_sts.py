"""Whether a domain's MTA-STS policy can be fetched, and names the domain's own exchanges (PURE).

Input: the answers of the look-up, and what the fetch of the policy gave. Standards: RFC 8461 §3.1 (record), §3.2
(policy), §3.3 (fetch), §4.1 (names).
On failure: DNS that gives no answer is unknown.
"""

import re
from dataclasses import dataclass

from services.console.domain_check.check import Check, Topic, dns_silent, ok, warn, wrong
from services.console.domain_check.mx import exchanges
from shared.auth.spf_result import plain
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup

# RFC 8461 §3.1.
_VERSION = re.compile(rb"v=STSv1[ \t]*(?:;|\Z)")
_RECORD = re.compile(rb"v=STSv1[ \t]*;[ \t]*id[ \t]*=[ \t]*[A-Za-z0-9]{1,32}[ \t]*(?:;.*)?\Z", re.DOTALL)
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*(.*?)[ \t]*\Z")
_MODES = ("enforce", "testing", "none")
# RFC 8461 §3.2: at most a year; weeks are advised, below a day it protects from little.
_MAX_AGE_S, _SHORT_S = 31_557_600, 86_400


@dataclass(frozen=True, slots=True)
class FetchedPolicy:
    """What came of the fetch. problem: why there is no text."""

    text: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy as published."""

    mode: str
    mx: tuple[str, ...]
    max_age_s: int


class StsError(ValueError):
    """Not a policy; the text says what is wrong."""


def policy_url(domain: str) -> str:
    """Return where the policy of a domain stands."""
    return f"https://mta-sts.{domain}/.well-known/mta-sts.txt"


def has_record(domain: str, lookup: Lookup) -> bool:
    """Whether a domain says that it has a policy. Raises DnsTemporary."""
    return any(_VERSION.match(text) for text in lookup(f"_mta-sts.{domain}", "TXT").texts())


def read_policy(text: str) -> StsPolicy:
    """Return the policy of a text. Raises StsError."""
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        matched = _FIELD.match(line.strip())
        if matched is None:
            raise StsError(f"the line {plain(line, 60)!r} is not of the form key: value")
        fields.setdefault(matched[1], []).append(matched[2])
    if fields.get("version", [""])[0] != "STSv1":
        raise StsError("it lacks the line version: STSv1")
    mode = fields.get("mode", [""])[0]
    if mode not in _MODES:
        raise StsError(f"mode is {plain(mode, 40)!r}, none of {', '.join(_MODES)}")
    age = fields.get("max_age", [""])[0]
    if not (age.isascii() and age.isdigit() and len(age) <= 10 and int(age) <= _MAX_AGE_S):
        raise StsError(f"max_age is {plain(age, 40)!r}, not a number of seconds up to {_MAX_AGE_S}")
    names = tuple(name.lower().rstrip(".") for name in fields.get("mx", []))
    if not names and mode != "none":
        raise StsError("it has no mx line")
    return StsPolicy(mode, names, int(age))


def matches(pattern: str, name: str) -> bool:
    """Whether an mx pattern names a host. RFC 8461 §4.1: `*` stands for one whole label, the leftmost."""
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return name == pattern


def judge_mta_sts(domain: str, fetched: FetchedPolicy | None, lookup: Lookup) -> list[Check]:
    """Return what is to be said of MTA-STS. fetched: None where there is no record, so that nobody fetches a policy."""
    try:
        records = [text for text in lookup(f"_mta-sts.{domain}", "TXT").texts() if _VERSION.match(text)]
        if not records or fetched is None:
            return [ok(Topic.MTA_STS, f"{domain} does not use it (optional; it keeps TLS from being stripped)")]
        if len(records) > 1:
            # RFC 8461 §3.1: senders then assume that there is none.
            return [wrong(Topic.MTA_STS, f"_mta-sts.{domain} has {len(records)} records, so none counts", "leave one")]
        if not _RECORD.match(records[0]):
            text = f'the record is not as it must be: "{plain(records[0].decode("utf-8", "replace"), 100)}"'
            return [wrong(Topic.MTA_STS, text, f'publish _mta-sts.{domain}. TXT "v=STSv1; id=20260101T000000;"')]
        return _judge(domain, fetched, exchanges(domain, lookup))
    except DnsTemporary as error:
        return [dns_silent(Topic.MTA_STS, error)]


def _judge(domain: str, fetched: FetchedPolicy, names: tuple[str, ...]) -> list[Check]:
    url = policy_url(domain)
    if fetched.problem:
        text = f"the record says that there is a policy, but {url} gives none: {fetched.problem}"
        mend = "serve it there, with a certificate for that name, as text/plain, without a redirect"
        return [wrong(Topic.MTA_STS, text, f"{mend}; or take the record out")]
    try:
        policy = read_policy(fetched.text)
    except StsError as error:
        return [wrong(Topic.MTA_STS, f"{url} cannot be used: {error}", "correct it, then give the record a new id")]
    if policy.mode == "none":
        return [ok(Topic.MTA_STS, f"{url} says mode: none, so nothing is demanded")]
    checks = []
    left_out = [name for name in names if not any(matches(pattern, name) for pattern in policy.mx)]
    if left_out:
        meant = "senders do not deliver to it" if policy.mode == "enforce" else "senders report it (mode: testing)"
        text = f"{url} does not name the MX {', '.join(left_out[:10])} (it names {', '.join(policy.mx[:10])}): {meant}"
        checks.append(wrong(Topic.MTA_STS, text, f"add `mx: {left_out[0]}` to it, then give the record a new id"))
    idle = [pattern for pattern in policy.mx if not any(matches(pattern, name) for name in names)]
    if idle and names and not left_out:
        text = f"{url} names {', '.join(idle[:10])}, which no MX of {domain} is"
        checks.append(warn(Topic.MTA_STS, text, "take it out, unless it is about to become one"))
    if policy.max_age_s < _SHORT_S:
        text = f"max_age is {policy.max_age_s} s, so short that it protects little"
        checks.append(warn(Topic.MTA_STS, text, "make it some weeks: max_age: 2592000"))
    return checks or [ok(Topic.MTA_STS, f"{url}: mode {policy.mode}, names {', '.join(policy.mx[:10])}")]
