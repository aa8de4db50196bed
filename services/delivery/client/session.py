"""A session with one host of a next hop: connect, greeting, EHLO or LHLO, STARTTLS, AUTH (I/O).

Input: a `Target`, the terms on which it is spoken to, the secrets that these name. Output: `Session`, ready for
transactions, which meets what is demanded of its TLS.
Standards: RFC 5321 §3.1, §3.2 and §4.5.3.2 (timeouts), RFC 3207, RFC 8314 (implicit TLS), RFC 2033 (LMTP), RFC 4954.
On failure: HopUnreachable, temporary but for what REQUIRETLS makes final: a host that greets with 5xx refuses us, not
this message, and mail must not bounce because its own server is being rebuilt. The lifetime of the message ends it.
"""

import asyncio
import ssl
from dataclasses import dataclass

from services.delivery.client.auth import AuthFailed, authenticate
from services.delivery.client.binding import connect_from
from services.delivery.client.lines import Extensions, read_extensions
from services.delivery.client.replies import HopReply
from services.delivery.client.target import Speech, Target
from services.delivery.client.terms import SessionTerms, Source
from services.delivery.client.wire import HandshakeFailed, Wire, WireLost
from services.delivery.secrets import Secrets
from services.delivery.tls.context import client_context
from services.delivery.tls.demand import Demander
from services.delivery.tls.failures import handshake_failure
from services.delivery.tls.peer import judge_on_trial, judge_peer
from shared.errors import TemporaryError
from shared.policy.destination import OutboundTls
from shared.reply import Reply
from shared.tls_seen import TlsFailure, TlsResult, TlsSeen

__all__ = ["STEP_S", "HopUnreachable", "Session", "Speech", "Target", "open_session"]

# RFC 5321 §4.5.3.2 gives five minutes for most; deliberately less, since no delivery may be held over four altogether.
STEP_S = 60.0


class HopUnreachable(Exception):
    """No session came about. reply: what the host said, if it said anything.

    tls_failure: what was wrong with its TLS. seen: that, for reports. final: what the message is told if no other host
    of the hop does better, where a further try is not allowed (REQUIRETLS); None: mail waits.
    """

    def __init__(
        self,
        target: Target,
        reason: str,
        reply: Reply | None = None,
        tls_failure: TlsFailure | None = None,
        *,
        seen: TlsSeen | None = None,
        final: Reply | None = None,
    ) -> None:
        super().__init__(f"{target}: {reason}")
        self.target = target
        self.reply = reply
        self.tls_failure = tls_failure
        self.seen = seen
        self.final = final


@dataclass(slots=True)
class Session:
    """An open session. transactions: how many it has carried. needs_reset: the last one was left half-way.

    source: who we are on it. security: what its TLS is worth, in one word: none, opportunistic, required, verified,
    fingerprint, dane or mta-sts. tls_failure: what a policy on trial would have refused it for. seen: its TLS, for
    reports; None where nobody takes any. refused: recipients that were refused on it when it was asked for them.
    """

    wire: Wire
    target: Target
    offered: Extensions
    tls: str | None
    source: Source
    security: str = "none"
    tls_failure: TlsFailure | None = None
    seen: TlsSeen | None = None
    keeps_requiretls: bool = False
    transactions: int = 0
    needs_reset: bool = False
    refused: int = 0


async def open_session(target: Target, terms: SessionTerms, deadline: float, secrets: Secrets) -> Session:
    """Return a session that has said EHLO (or LHLO), over TLS as demanded, logged in. Raises HopUnreachable.

    deadline: loop time at which all of it must be done.
    """
    return await _Opening(target, terms, deadline, secrets).run()


class _Opening:
    def __init__(self, target: Target, terms: SessionTerms, deadline: float, secrets: Secrets) -> None:
        self._target = target
        self._terms = terms
        self._demand = terms.tls
        self._deadline = deadline
        self._secrets = secrets
        self._wire = Wire(asyncio.get_running_loop())

    async def run(self) -> Session:
        try:
            await self._connect()
            return await self._greet()
        except HandshakeFailed as error:
            raise self._insecure(handshake_failure(error.error)) from None
        except WireLost as error:
            said = self._wire.rest()
            raise HopUnreachable(self._target, str(error), said[0].as_reply() if said else None) from None
        except AuthFailed as error:
            self._wire.quit()
            raise HopUnreachable(self._target, str(error), error.reply) from None
        except TemporaryError as error:
            # A secret that is not there, or cannot be used: mail waits for the administrator.
            self._wire.abort("given up")
            raise HopUnreachable(self._target, error.reason) from None
        except HopUnreachable:
            # It has said QUIT, if there was anybody to say it to.
            raise
        except BaseException:
            self._wire.abort("given up")
            raise

    async def _connect(self) -> None:
        target, loop = self._target, asyncio.get_running_loop()
        timeout_s = self._terms.connect_timeout_s
        implicit = target.speech is Speech.SMTPS
        try:
            async with asyncio.timeout_at(min(self._deadline, loop.time() + timeout_s)):
                if target.path:
                    await loop.create_unix_connection(lambda: self._wire, target.path)
                else:
                    # The address that was checked, not the name: another look-up could say something else.
                    await connect_from(
                        loop,
                        lambda: self._wire,
                        target.address,
                        target.port,
                        self._terms.source,
                        ssl=client_context(self._demand, self._secrets) if implicit else None,
                        server_hostname=self._server_name() if implicit else None,
                    )
        except TimeoutError:
            raise HopUnreachable(target, f"no connection within {timeout_s:g} s") from None
        except ssl.SSLError as error:
            raise self._insecure(handshake_failure(error)) from None
        except OSError as error:
            raise HopUnreachable(target, f"cannot connect: {error}") from None

    async def _greet(self) -> Session:
        target, demand = self._target, self._demand
        failure = self._judge() if target.speech is Speech.SMTPS else None
        greeting = (await self._wire.replies(1, self._step()))[0]
        if greeting.code != 220:
            raise self._refused("greeting", greeting)
        offered = await self._hello()
        if offered.starttls and target.speech is not Speech.SMTPS and demand.level is not OutboundTls.OFF:
            await self._start_tls()
            failure = self._judge()
            # RFC 3207 §4.2: what was said before TLS is forgotten, so EHLO again.
            offered = await self._hello()
        tls = self._wire.tls_name()
        if tls is None:
            failure = self._without_tls()
        if demand.requiretls and not offered.requiretls and not target.path:
            raise self._no_requiretls()
        if self._terms.auth is not None:
            await self._log_in(offered)
        return Session(
            self._wire,
            target,
            offered,
            tls,
            self._terms.source,
            security=demand.word if tls is not None else "none",
            tls_failure=failure,
            seen=self._seen(failure),
            keeps_requiretls=self._keeps_requiretls(tls, offered),
        )

    async def _hello(self) -> Extensions:
        verb = "LHLO" if self._target.speech is Speech.LMTP else "EHLO"
        name = self._terms.source.name
        reply = await self._ask(f"{verb} {name}\r\n".encode())
        if reply.code == 250:
            return read_extensions(reply.lines)
        if reply.code >= 500 and self._target.speech is not Speech.LMTP and self._wire.tls_name() is None:
            # RFC 5321 §3.2: a server that does not know EHLO is greeted with HELO.
            older = await self._ask(f"HELO {name}\r\n".encode())
            if older.code == 250:
                return Extensions()
        raise self._refused(verb, reply)

    async def _start_tls(self) -> None:
        context = client_context(self._demand, self._secrets)
        reply = await self._ask(b"STARTTLS\r\n")
        if reply.code != 220:
            failure = TlsFailure(TlsResult.STARTTLS_NOT_SUPPORTED, f"STARTTLS answered {reply.as_reply()}")
            raise self._refused("STARTTLS", reply, failure)
        await self._wire.start_tls(context, self._server_name(), self._step())

    def _judge(self) -> TlsFailure | None:
        """Return what a policy on trial finds wrong with the peer. Raises HopUnreachable where it is no trial."""
        demand = self._demand
        if not demand.is_authenticated and not demand.trial:
            return None
        shown = self._wire.peer_chain()
        failure = judge_peer(shown, demand)
        if failure is not None:
            raise self._insecure(failure)
        return judge_on_trial(shown, demand.trial, demand.authority, self._secrets) if demand.trial else None

    def _without_tls(self) -> TlsFailure | None:
        """Return what plain text is for the reports. Raises HopUnreachable where TLS is demanded."""
        demand, target = self._demand, self._target
        if demand.level is OutboundTls.OFF or target.path:
            return None
        failure = TlsFailure(TlsResult.STARTTLS_NOT_SUPPORTED, "the host offers no STARTTLS")
        # RFC 8461 §5.2, RFC 7672 §2.2: no fallback to plain text where TLS is demanded.
        if demand.level is not OutboundTls.OPPORTUNISTIC or demand.tlsa or demand.requiretls:
            raise self._insecure(failure)
        return failure

    def _keeps_requiretls(self, tls: str | None, offered: Extensions) -> bool:
        demand, target = self._demand, self._target
        if target.path:
            # Deliberately not asked of a socket of this host: the message never leaves it, so no network hears it.
            return True
        # RFC 8689 §4.2.1: the host is the right one (an MX record alone may be forged), and keeps it in its turn.
        is_right = demand.requiretls or target.named_securely or demand.demander is Demander.MTA_STS
        return tls is not None and demand.is_authenticated and is_right and offered.requiretls

    async def _log_in(self, offered: Extensions) -> None:
        auth, target = self._terms.auth, self._target
        assert auth is not None
        has_tls = self._wire.tls_name() is not None
        await authenticate(self._ask, offered.auth, auth, self._secrets, host=target.host, tls=has_tls)

    async def _ask(self, line: bytes) -> HopReply:
        self._wire.write(line)
        return (await self._wire.replies(1, self._step()))[0]

    def _server_name(self) -> str:
        # RFC 7672 §8.1: the name that the records stand at; else the host's own.
        return self._demand.server_name or self._target.host or self._target.address or "localhost"

    def _seen(self, failure: TlsFailure | None) -> TlsSeen | None:
        target, demand = self._target, self._demand
        if not target.domain or not demand.is_told:
            return None
        failure = failure or demand.trouble
        sender_ip, receiver_ip = self._wire.addresses()
        return TlsSeen(
            target.domain,
            demand.published,
            failure.result if failure else TlsResult.SUCCESS,
            target.host,
            sender_ip,
            receiver_ip or target.address,
            failure.reason if failure else "",
        )

    def _insecure(self, failure: TlsFailure) -> HopUnreachable:
        seen = self._seen(failure)
        self._wire.quit()
        # RFC 8689 §4.2.1: without a session over TLS with the right server, the message is returned.
        final = Reply(550, "5.7.10", f"REQUIRETLS: {failure.reason}") if self._demand.requiretls else None
        reason = f"TLS ({self._demand.demander}): {failure.reason}"
        return HopUnreachable(self._target, reason, None, failure, seen=seen, final=final)

    def _no_requiretls(self) -> HopUnreachable:
        self._wire.quit()
        reason = "the host does not offer REQUIRETLS"
        return HopUnreachable(self._target, reason, seen=self._seen(None), final=Reply(550, "5.7.30", reason))

    def _refused(self, to_what: str, answer: HopReply, failure: TlsFailure | None = None) -> HopUnreachable:
        reply = answer.as_reply()
        seen = self._seen(failure) if failure is not None else None
        final = failure is not None and self._demand.requiretls and reply.permanent
        self._wire.quit()
        return HopUnreachable(
            self._target,
            f"{to_what} answered {reply}",
            reply,
            failure,
            seen=seen,
            final=Reply(550, "5.7.10", f"REQUIRETLS: {failure.reason}") if failure is not None and final else None,
        )

    def _step(self) -> float:
        return min(self._deadline, asyncio.get_running_loop().time() + STEP_S)
