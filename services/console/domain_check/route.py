"""What delivery met on the routes of a domain, for a postmaster (PURE).

Input: the policy's routes and delivery's answer. Standards: RFC 5321 §4.5.1 (postmaster), RFC 9525 §6.3 (names).
"""

import datetime as dt

from services.console.domain_check.check import Check, Topic, ok, unknown, warn, wrong
from shared.policy.destination import OutboundTls
from shared.wire_route_check import CertificateSeen, HostSeen, Reached, RouteAnswer, RouteSeen
from shared.wire_verify import VerifyResult

_SOON_S = 21 * 86_400
_DAY_S = 86_400


def judge_routes(answer: RouteAnswer, now: float) -> list[Check]:
    """Return what is to be said of each host of each route."""
    if answer.problem:
        return [unknown(Topic.ROUTE, f"delivery did not look: {answer.problem}", "gatepost status")]
    return [check for route in answer.routes for check in _route(route, answer.domain, now)]


def _route(route: RouteSeen, domain: str, now: float) -> list[Check]:
    if route.problem and route.temporary:
        return [unknown(Topic.ROUTE, f"{route.route}: {route.problem}", "run the check again; look at DNS")]
    if route.problem:
        return [wrong(Topic.ROUTE, f"{route.route}: {route.problem}", f"gatepost domain set {domain} route=…")]
    if not route.hosts:
        return [ok(Topic.ROUTE, f"{route.route}: can be written to")]
    return [check for host in route.hosts for check in _host(route, host, domain, now)]


def _host(route: RouteSeen, host: HostSeen, domain: str, now: float) -> list[Check]:
    name = route.route if route.route.endswith(host.target) else f"{route.route} ({host.target})"
    certificate = _certificate(name, host, route.tls, now)
    if host.reached is not Reached.YES:
        verb = "refuses us" if host.reached is Reached.REFUSED else "cannot be reached"
        mend = "mend that server, or let the policy name another; until then its mail waits, or takes the next route"
        return [wrong(Topic.ROUTE, f"{name} {verb}: {host.cause}", mend), *certificate]
    checks = certificate + _postmaster(name, host, domain)
    if checks:
        return checks
    spoken = f"{host.tls}, {host.security}" if host.tls else "plain text"
    login = f", logged in as {host.login}" if host.login else ""
    until = f", certificate until {_date(host.certificate.not_after)}" if host.certificate else ""
    return [ok(Topic.ROUTE, f"{name} takes mail for postmaster@{domain} ({spoken}{login}{until})")]


def _certificate(name: str, host: HostSeen, demanded: str, now: float) -> list[Check]:
    shown = host.certificate
    if shown is None:
        return []
    renew = "have it renewed on that server"
    if shown.not_after <= now:
        text = f"the certificate of {name} has expired on {_date(shown.not_after)} ({shown.subject})"
        return [wrong(Topic.ROUTE, text, renew)]
    if shown.not_before > now:
        text = f"the certificate of {name} is valid only from {_date(shown.not_before)} on ({shown.subject})"
        return [wrong(Topic.ROUTE, text, f"{renew}, or correct its clock or ours")]
    checks = []
    if shown.not_after - now < _SOON_S:
        days = int((shown.not_after - now) / _DAY_S)
        text = f"the certificate of {name} expires on {_date(shown.not_after)}, in {days} days"
        checks.append(warn(Topic.ROUTE, text, renew))
    if host.names and demanded == OutboundTls.VERIFIED and not any(_bears(shown, one) for one in host.names):
        text = f"the certificate of {name} is for {', '.join(shown.names[:5]) or 'no name'}, not for {host.names[0]}"
        checks.append(
            wrong(Topic.ROUTE, text, "give that server one for its name, or set tls_names for this destination")
        )
    return checks


def _bears(certificate: CertificateSeen, name: str) -> bool:
    # RFC 9525 §6.3: a wildcard stands for one whole label, the leftmost.
    for shown in (text.lower() for text in certificate.names):
        if shown == name or (shown.startswith("*.") and name.partition(".")[2] == shown[2:]):
            return True
    return False


def _postmaster(name: str, host: HostSeen, domain: str) -> list[Check]:
    match host.postmaster:
        case VerifyResult.TAKEN:
            return []
        case VerifyResult.REFUSED:
            # RFC 5321 §4.5.1: every domain has a postmaster.
            text = f"{name} does not know postmaster@{domain}: {host.reply}"
            return [warn(Topic.ROUTE, text, "make that mailbox there, or an alias here: [domains] aliases")]
        case VerifyResult.UNKNOWN:
            text = f"{name} did not take a bounce to postmaster@{domain} now: {host.reply}"
            return [
                warn(Topic.ROUTE, text, "see its log; if it dislikes the null sender, no bounce reaches your users")
            ]


def _date(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%d}"
