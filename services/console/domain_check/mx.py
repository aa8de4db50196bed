"""Whether a domain's MX records lead its mail to this gateway (PURE over the answers of the look-up).

Standards: RFC 5321 §5.1 (MX, no alias, no address), RFC 2181 §10.3 (no alias), RFC 7505 (null MX).
On failure: DNS that gives no answer is unknown.
"""

from services.console.domain_check.check import Check, Topic, dns_silent, ok, unknown, warn, wrong
from services.console.domain_check.subject import Subject
from shared.dns.answer import MX, BadName, DnsTemporary
from shared.dns.names import is_address
from shared.dns.replay import Lookup


def exchanges(domain: str, lookup: Lookup) -> tuple[str, ...]:
    """Return the names of a domain's exchanges, without a null MX. Raises DnsTemporary."""
    return tuple(mx.exchange for mx in lookup(domain, "MX").mx() if mx.exchange)


def judge_mx(subject: Subject, lookup: Lookup) -> list[Check]:
    """Return what is to be said of the MX records."""
    domain = subject.domain
    try:
        answer = lookup(domain, "MX")
    except DnsTemporary as error:
        return [dns_silent(Topic.MX, error)]
    found = answer.mx()
    if not answer.exists:
        return [wrong(Topic.MX, f"{domain} does not exist in DNS", "register it, or have its zone served")]
    if not found:
        return [_none(subject, lookup)]
    if any(mx.exchange == "" for mx in found):
        return [_null(subject, found)]
    checks = [check for mx in found if (check := _exchange(mx.exchange, lookup)) is not None]
    checks += _leads_here(subject, found)
    return checks or [ok(Topic.MX, f"{domain} → {_shown(found)}")]


def _none(subject: Subject, lookup: Lookup) -> Check:
    domain = subject.domain
    text = f"{domain} has no MX record"
    try:
        if lookup(domain, "A").addresses() or lookup(domain, "AAAA").addresses():
            # RFC 5321 §5.1: without any MX, the domain itself is the host.
            text += ", so its mail goes to the host of that name, which is its web server more often than not"
    except DnsTemporary:
        pass
    return wrong(Topic.MX, text, _record(subject))


def _null(subject: Subject, found: tuple[MX, ...]) -> Check:
    domain = subject.domain
    if len(found) > 1:
        # RFC 7505 §3: a null MX stands alone.
        text = f"{domain} has a null MX beside others ({_shown(found)}), of which nobody knows what it means"
        return wrong(Topic.MX, text, "take the record `MX 0 .` out")
    if subject.takes_mail:
        text = f"{domain} has a null MX: it says that it takes no mail, but the policy has recipients there"
        return wrong(Topic.MX, text, f"in place of it: {_record(subject)}")
    return ok(Topic.MX, f"{domain} has a null MX, and the policy has no recipients there")


def _exchange(name: str, lookup: Lookup) -> Check | None:
    """Return what is wrong with one exchange."""
    if is_address(name):
        return wrong(Topic.MX, f"the MX {name} is an address", "an MX must be a host name that has this address")
    try:
        # RFC 2181 §10.3, RFC 5321 §5.1: the exchange is no alias.
        if alias := lookup(name, "CNAME").names():
            text = f"the MX {name} is an alias (CNAME) of {alias[0]}, which no MX may be; some servers refuse it"
            return wrong(Topic.MX, text, f"let the MX be {alias[0]}, or give {name} addresses in place of the CNAME")
        if lookup(name, "A").addresses() or lookup(name, "AAAA").addresses():
            return None
    except DnsTemporary as error:
        return dns_silent(Topic.MX, error)
    except BadName:
        return wrong(Topic.MX, f"the MX {name!r} is not a host name", "correct it")
    return wrong(Topic.MX, f"the MX {name} has no address", f"give {name} an A or AAAA record, or take the MX out")


def _leads_here(subject: Subject, found: tuple[MX, ...]) -> list[Check]:
    """Return what leads past this gateway."""
    if not subject.gateway_names:
        text = f"{subject.domain} → {_shown(found)}; the policy does not say which names are this gateway's"
        return [unknown(Topic.MX, text, 'name them: [gateway] names = ["mx.example.org"]')]
    others = [mx for mx in found if mx.exchange not in subject.gateway_names]
    if len(others) == len(found):
        text = f"mail of {subject.domain} does not come here: {_shown(found)}"
        return [wrong(Topic.MX, text, _record(subject))]
    if others:
        text = (
            f"some mail of {subject.domain} goes past this gateway, and senders of spam choose it so: {_shown(others)}"
        )
        return [warn(Topic.MX, text, "take these out, or name them in [gateway] names if they are this gateway")]
    return []


def _record(subject: Subject) -> str:
    names = subject.gateway_names or ("<name of this gateway>",)
    return "publish " + "; ".join(f"{subject.domain}. MX 10 {name}." for name in names)


def _shown(found: tuple[MX, ...] | list[MX]) -> str:
    return ", ".join(f"{mx.preference} {mx.exchange or '.'}" for mx in found[:10])
