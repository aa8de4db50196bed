"""Whether the keys that our mail is signed with stand in DNS (PURE over the answers of the look-up).

Input: what the key book has for the domain. Standards: RFC 6376 §3.6.1 and §3.6.2, RFC 8463.
On failure: DNS that gives no answer is unknown.
"""

from dataclasses import dataclass

from services.console.domain_check.check import Check, Topic, dns_silent, ok, warn, wrong
from services.console.domain_check.tags import TagError, read_tags
from shared.dkim_keys import KeyState, RecordState, judge_records
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key of the book. record: as it is to stand in DNS. keep_until: of a retired one, Unix seconds."""

    selector: str
    algorithm: str
    record: str
    state: KeyState
    keep_until: float | None = None


def judge_dkim(domain: str, keys: tuple[KnownKey, ...], now: float, lookup: Lookup) -> list[Check]:
    """Return what is to be said of each key that must be in DNS."""
    if not any(key.state is KeyState.ACTIVE for key in keys):
        waiting = any(key.state is KeyState.PENDING for key in keys)
        mend = f"gatepost dkim switch {domain}, once their records stand" if waiting else f"gatepost dkim add {domain}"
        unsigned = [warn(Topic.DKIM, f"mail from {domain} is not signed: no key of it is in use", mend)]
    else:
        unsigned = []
    wanted = [key for key in keys if key.state in (KeyState.ACTIVE, KeyState.PENDING) or _is_kept(key, now)]
    return unsigned + [_judge(domain, key, lookup) for key in wanted]


def _is_kept(key: KnownKey, now: float) -> bool:
    return key.state is KeyState.RETIRED and key.keep_until is not None and key.keep_until > now


def _judge(domain: str, key: KnownKey, lookup: Lookup) -> Check:
    name = f"{key.selector}._domainkey.{domain}"
    topic = f"{name} ({key.algorithm}, {key.state})"
    publish = f'publish {name}. TXT "{key.record}"'
    try:
        records = lookup(name, "TXT").texts()
    except DnsTemporary as error:
        return dns_silent(Topic.DKIM, error)
    if not records:
        text = f"{topic}: DNS has no record"
        if key.state is KeyState.PENDING:
            return warn(Topic.DKIM, f"{text} yet", f"{publish}, then: gatepost dkim switch {domain}")
        if key.state is KeyState.RETIRED:
            return warn(Topic.DKIM, f"{text} any more, but mail signed with it may still be under way", publish)
        return wrong(Topic.DKIM, f"{text}, so this signature fails everywhere", publish)
    if len(records) > 1:
        # RFC 6376 §3.6.2.2: the results are then undefined.
        return wrong(
            Topic.DKIM, f"{topic}: DNS has {len(records)} records", f"leave one: {publish.removeprefix('publish ')}"
        )
    return _compare(domain, key, records[0], topic, publish)


def _compare(domain: str, key: KnownKey, record: bytes, topic: str, publish: str) -> Check:
    try:
        published = read_tags(record)
    except TagError as error:
        return wrong(Topic.DKIM, f"{topic}: the record cannot be read: {error}", publish)
    if "p" in published and not published["p"]:
        return wrong(Topic.DKIM, f"{topic}: DNS says that the key is revoked (empty p=)", publish)
    if judge_records([record], key.record) is not RecordState.PUBLISHED:
        text = f"{topic}: DNS has another key than the one that is here"
        mend = f"{publish}, or, if the other one is right: gatepost dkim rotate {domain}"
        return wrong(Topic.DKIM, text, mend)
    if "y" in [flag.strip() for flag in published.get("t", "").split(":")]:
        # RFC 6376 §3.6.1, t=y: verifiers must treat it as unsigned.
        return warn(Topic.DKIM, f"{topic}: the record says that it is for testing (t=y)", "take t=y out of it")
    return ok(Topic.DKIM, f"{topic}: published")
