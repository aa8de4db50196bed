"""Looking at the routes of a domain for an administrator: connections as for mail, but without mail (I/O).

Owns: which hosts are tried, and what is said to them: greeting, EHLO, TLS and login as the policy wants them, then MAIL
with the null sender, RCPT of postmaster, RSET.
Input: a domain of the policy. Output: `RouteAnswer`, always, within `ROUTE_CHECK_S`.
Standards: RFC 5321 §4.5.1 (postmaster is always taken), §4.5.5 (the null sender).
Decided here: a check waits for no gate and counts for none, since it is asked for just when a hop is left alone; a few
run at a time. Where TLS or its certificate is the trouble, a second connection demands nothing of the certificate, says
nothing but EHLO and no secret, and shows the certificate.
On failure: told in the answer; nothing is raised but cancellation.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from services.delivery.certificate_seen import read_certificate
from services.delivery.client.session import HopUnreachable, Session, Target
from services.delivery.client.wire import WireLost
from services.delivery.judge_probe import Probed, judge_probe, unknown
from services.delivery.mx import NoHost
from services.delivery.route import Choice, Hop, choices_of
from shared.dns.answer import DnsTemporary
from shared.policy import DeliveryRules, Policy
from shared.policy.destination import OutboundTls
from shared.reply import Reply
from shared.routes import RouteKind
from shared.wire_route_check import (
    HOSTS_LIMIT,
    NAMES_LIMIT,
    ROUTE_CHECK_S,
    ROUTES_LIMIT,
    TEXT_LIMIT,
    CertificateSeen,
    HostSeen,
    Reached,
    RouteAnswer,
    RouteQuestion,
    RouteSeen,
)
from shared.wire_verify import VerifyResult

_log = structlog.get_logger()
# Whom to connect to for a hop. Raises DnsTemporary, NoHost.
Targets = Callable[[Hop], Awaitable[list[Target]]]
# A new session with a host, by these rules. Raises HopUnreachable, or what else keeps mail from it.
Opener = Callable[[Hop, Target, DeliveryRules], Awaitable[Session]]
_AT_ONCE = 4
_HOSTS_AT_ONCE = 4
_ROUTE_S = ROUTE_CHECK_S - 4
_HOST_S = 12.0
_LOOK_S = 6.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be looked at."""

    hop: Hop
    domain: str
    rules: DeliveryRules


class RouteChecker:
    """Looks at routes. data_dir: where relative Maildir routes begin."""

    def __init__(self, our_name: str, data_dir: Path, targets: Targets, open_session: Opener) -> None:
        self._our_name = our_name
        self._data_dir = data_dir
        self._targets = targets
        self._open = open_session
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def check(self, question: RouteQuestion, policy: Policy) -> RouteAnswer:
        """Return what is met on the routes of a domain."""
        if question.domain not in policy.domains:
            # A forged question is not to make delivery connect to anybody else's server.
            return self._answer(question, problem="the policy that delivery follows has no such domain")
        try:
            async with asyncio.timeout(ROUTE_CHECK_S - 1), self._places:
                choices = choices_of(question.domain, policy)[:ROUTES_LIMIT]
                routes = await asyncio.gather(*(self._route(choice, question.domain, policy) for choice in choices))
        except TimeoutError:
            return self._answer(question, problem="delivery has too many checks to do at once")
        return self._answer(question, routes=tuple(routes))

    def _answer(self, question: RouteQuestion, *, routes: tuple[RouteSeen, ...] = (), problem: str = "") -> RouteAnswer:
        return RouteAnswer(question.id, question.domain, self._our_name[:TEXT_LIMIT], routes, problem)

    async def _route(self, choice: Choice, domain: str, policy: Policy) -> RouteSeen:
        hop = choice.hop
        route = str(hop.route)[:TEXT_LIMIT]
        if hop.route.kind is RouteKind.MAILDIR:
            return RouteSeen(route, problem=await asyncio.to_thread(_folder_problem, self._data_dir / hop.route.path))
        asked = _Asked(hop, domain, hop.rules(policy))
        demanded = asked.rules.tls.value
        try:
            async with asyncio.timeout(_ROUTE_S):
                targets = (await self._targets(hop))[:HOSTS_LIMIT]
                places = asyncio.Semaphore(_HOSTS_AT_ONCE)
                hosts = await asyncio.gather(*(self._host(target, asked, places) for target in targets))
        except DnsTemporary as error:
            return RouteSeen(route, demanded, problem=f"DNS: {error}"[:TEXT_LIMIT], temporary=True)
        except NoHost as error:
            return RouteSeen(route, demanded, problem=str(error.reply)[:TEXT_LIMIT])
        except TimeoutError:
            return RouteSeen(route, demanded, problem=f"its hosts did not answer within {_ROUTE_S:g} s", temporary=True)
        except Exception as error:  # whatever it is, the other routes are still told
            _log.exception("route-check-failed", hop=hop.key)
            return RouteSeen(route, demanded, problem=_words(error), temporary=True)
        return RouteSeen(route, demanded, tuple(hosts))

    async def _host(self, target: Target, asked: _Asked, places: asyncio.Semaphore) -> HostSeen:
        names = _names_of(target, asked)
        async with places:
            try:
                async with asyncio.timeout(_HOST_S):
                    session = await self._open(asked.hop, target, asked.rules)
                    return await _look_at(session, target, asked, names)
            except HopUnreachable as error:
                reached = Reached.REFUSED if error.reply is not None else Reached.NO
                cause = str(error).removeprefix(f"{target}: ")
            except TimeoutError:
                reached, cause = Reached.NO, f"no answer within {_HOST_S:g} s"
            except Exception as error:  # a secret that is missing, DNS that fails: all of it keeps mail from the host
                reached, cause = Reached.NO, _words(error)
            shown = await self._certificate(target, asked)
            return HostSeen(str(target)[:TEXT_LIMIT], reached, names, cause[:TEXT_LIMIT], certificate=shown)

    async def _certificate(self, target: Target, asked: _Asked) -> CertificateSeen | None:
        """Return the certificate of a host that the rules have kept us from, None where there is none to be had."""
        if asked.rules.tls is OutboundTls.OFF or target.path:
            return None
        undemanding = {"tls": OutboundTls.REQUIRED, "dane": False, "mta_sts": False, "auth": None}
        try:
            async with asyncio.timeout(_LOOK_S):
                session = await self._open(asked.hop, target, asked.rules.model_copy(update=undemanding))
        except Exception:  # the first connection has told why
            return None
        try:
            return _shown(session)
        finally:
            session.wire.quit()


async def _look_at(session: Session, target: Target, asked: _Asked, names: tuple[str, ...]) -> HostSeen:
    try:
        probed = await _converse(session, f"postmaster@{asked.domain}")
    except WireLost as error:
        probed = unknown(str(error))
    except BaseException:
        session.wire.abort("given up")
        raise
    certificate = _shown(session)
    session.wire.quit()
    return HostSeen(
        target=str(target)[:TEXT_LIMIT],
        reached=Reached.YES,
        names=names,
        tls=(session.tls or "")[:TEXT_LIMIT],
        login=asked.rules.auth.login[:TEXT_LIMIT] if asked.rules.auth is not None else "",
        certificate=certificate,
        postmaster=probed.result,
        reply=probed.reply[:TEXT_LIMIT],
        security=session.security[:TEXT_LIMIT],
    )


async def _converse(session: Session, recipient: str) -> Probed:
    mailed = await _say(session, b"MAIL FROM:<>\r\n")
    if mailed.code >= 300:
        return Probed(VerifyResult.UNKNOWN, f"MAIL: {mailed}")
    answered = await _say(session, f"RCPT TO:<{recipient}>\r\n".encode())
    await _say(session, b"RSET\r\n")
    return judge_probe(mailed, answered)


async def _say(session: Session, line: bytes) -> Reply:
    session.wire.write(line)
    return (await session.wire.replies(1, asyncio.get_running_loop().time() + _HOST_S))[0].as_reply()


def _shown(session: Session) -> CertificateSeen | None:
    der = session.wire.certificate()
    return read_certificate(der) if der is not None else None


def _names_of(target: Target, asked: _Asked) -> tuple[str, ...]:
    """Return the names of which a host's certificate should bear one; none for an address or a socket."""
    if asked.rules.tls_names:
        return tuple(asked.rules.tls_names[:NAMES_LIMIT])
    return () if target.path or target.host == target.address else (target.host[:TEXT_LIMIT],)


def _folder_problem(root: Path) -> str:
    """Return why nothing can be written below a folder, which delivery makes where it is missing; else nothing."""
    nearest = root
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"{nearest} is no folder"[:TEXT_LIMIT]
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"delivery may not write to {nearest}"[:TEXT_LIMIT]
    return ""


def _words(error: Exception) -> str:
    return f"{error or type(error).__name__}"[:TEXT_LIMIT]
