"""One attempt: a part of a message to its hop (I/O).

Owns: from hop to hosts to session to transaction, or to the Maildir; trying the next host where one cannot be reached.
Output: `Attempt`, always, within `ATTEMPT_S`.
Standards: RFC 5321 §5.1 (trying hosts in order).
On failure: what is not known is deferred.
"""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import structlog

from services.delivery import maildir
from services.delivery.client.session import HopUnreachable, Session, Speech, Target, open_session
from services.delivery.client.transaction import NotBegun, transact
from services.delivery.hops import HopState
from services.delivery.mx import Exchangers, NoHost, addresses_of
from services.delivery.outcome import Attempt, Outcome, Status, same_for_all
from services.delivery.route import Hop
from shared.dns.answer import DnsTemporary, Resolver
from shared.envelope import Envelope
from shared.policy import DeliveryRules
from shared.reply import Reply
from shared.routes import RouteKind

_log = structlog.get_logger()

# No message is held longer (DESIGN §5 says five minutes).
ATTEMPT_S = 230.0
_SPEECH = {RouteKind.SMTP: Speech.SMTP, RouteKind.SMTPS: Speech.SMTPS, RouteKind.LMTP: Speech.LMTP}


@dataclass(frozen=True, slots=True)
class _Errand:
    """What is to be carried where. deadline: loop time."""

    hop: Hop
    envelope: Envelope
    message: bytes
    state: HopState
    rules: DeliveryRules
    deadline: float


class Courier:
    """Carries messages to hops. data_dir: where relative Maildir routes begin. source_address: None for any."""

    def __init__(
        self,
        our_name: str,
        data_dir: Path,
        resolver: Resolver,
        exchangers: Exchangers,
        source_address: str | None = None,
    ) -> None:
        self._our_name = our_name
        self._data_dir = data_dir
        self._resolver = resolver
        self._exchangers = exchangers
        self._source_address = source_address
        self._connecting: set[asyncio.Task[Any]] = set()
        self._disk = ThreadPoolExecutor(max_workers=8, thread_name_prefix="maildir")

    def close(self) -> None:
        """Let the threads that write to disk end."""
        self._disk.shutdown(wait=True)

    def give_up_connecting(self) -> None:
        """Cancel the attempts that have said nothing of their message yet: the broker has it for another process."""
        for task in self._connecting:
            task.cancel()

    async def attempt(
        self, hop: Hop, envelope: Envelope, message: bytes, state: HopState, rules: DeliveryRules
    ) -> Attempt:
        """Try to deliver and return what became of each recipient."""
        try:
            if hop.route.kind is RouteKind.MAILDIR:
                return await self._to_maildir(hop, envelope, message)
            deadline = asyncio.get_running_loop().time() + ATTEMPT_S
            return await self._to_server(_Errand(hop, envelope, message, state, rules, deadline))
        except NoHost as error:
            return Attempt(same_for_all(envelope.recipients, error.reply))
        except DnsTemporary as error:
            reply = Reply(451, "4.4.3", f"DNS has no answer now: {error}")
            return Attempt(same_for_all(envelope.recipients, reply), hop_failed=str(error))
        except Exception as error:  # whatever it is, the message waits; the log has the rest
            _log.exception("attempt-failed", id=envelope.id, hop=hop.key)
            reply = Reply(451, "4.3.0", f"Local error in delivery ({type(error).__name__})")
            return Attempt(same_for_all(envelope.recipients, reply), hop_failed=type(error).__name__)

    async def _to_maildir(self, hop: Hop, envelope: Envelope, message: bytes) -> Attempt:
        root = self._data_dir / hop.route.path
        write = partial(maildir.deliver, root, envelope, message, self._our_name)
        outcomes = await asyncio.get_running_loop().run_in_executor(self._disk, write)
        return Attempt(outcomes, peer=str(root), final=True)

    async def _to_server(self, errand: _Errand) -> Attempt:
        while (kept := errand.state.pool.take()) is not None:
            # What a kept session turned out not to have heard is safe to say again.
            with contextlib.suppress(NotBegun):
                return await self._on(kept, errand)
        return await self._on_a_new_session(errand)

    async def _on_a_new_session(self, errand: _Errand) -> Attempt:
        failure: HopUnreachable | None = None
        for target in await self.targets(errand.hop):
            if asyncio.get_running_loop().time() >= errand.deadline:
                break
            try:
                session = await self.open(target, errand.rules.connect_timeout_s, errand.deadline)
            except HopUnreachable as error:
                failure = error
                continue
            return await self._on(session, errand)
        return _unreachable(errand.envelope, failure)

    async def open(self, target: Target, connect_timeout_s: float, deadline: float) -> Session:
        """Return a new session with a host. deadline: loop time. Raises HopUnreachable."""
        task = asyncio.current_task()
        assert task is not None
        self._connecting.add(task)
        try:
            return await open_session(target, self._our_name, connect_timeout_s, deadline, self._source_address)
        finally:
            self._connecting.discard(task)

    async def _on(self, session: Session, errand: _Errand) -> Attempt:
        try:
            outcomes = await transact(session, errand.envelope, errand.message, errand.deadline)
        except BaseException:
            session.wire.abort("given up")
            raise
        errand.state.pool.give_back(session, errand.rules.idle_timeout_s, errand.rules.messages_per_connection)
        return Attempt(
            outcomes,
            peer=str(session.target),
            tls=session.tls,
            relays_dsn=session.offered.dsn,
            final=session.target.speech is Speech.LMTP,
            hop_failed=_loss(outcomes),
        )

    async def targets(self, hop: Hop) -> list[Target]:
        """Return whom to connect to for a hop, in order; at least one. Raises DnsTemporary, NoHost."""
        route = hop.route
        if route.kind is RouteKind.MX:
            return await self._exchangers.targets(hop.domain)
        if route.kind is RouteKind.LMTP_SOCKET:
            return [Target(Speech.LMTP, "localhost", path=route.path)]
        speech = _SPEECH[route.kind]
        if _is_address(route.host):
            return [Target(speech, route.host, route.host, route.port)]
        found = await addresses_of(self._resolver, route.host)
        if not found:
            # A name in the policy that DNS does not know (yet) is an administrator's to mend: mail waits.
            raise DnsTemporary(route.host, "A", "the host of the route has no address")
        return [Target(speech, route.host, address, route.port) for address in found]


def _unreachable(envelope: Envelope, failure: HopUnreachable | None) -> Attempt:
    reason = str(failure) if failure is not None else "no host could be tried in time"
    reply = failure.reply if failure is not None else None
    if reply is None:
        local = same_for_all(envelope.recipients, Reply(451, "4.4.1", reason))
        return Attempt(local, peer=str(failure.target) if failure else "", hop_failed=reason)
    # The host's own words, but deferred even if it says 5xx: it refuses us, not the message.
    code = reply.code if reply.temporary else 451
    enhanced = reply.enhanced if reply.temporary else "4.3.2"
    said = Reply(code, enhanced, reply.text if reply.temporary else f"The host refuses connections: {reply}")
    assert failure is not None
    return Attempt(
        same_for_all(envelope.recipients, said, remote=reply.temporary), peer=str(failure.target), hop_failed=reason
    )


def _loss(outcomes: tuple[Outcome, ...]) -> str | None:
    """Return the reason if the hop said nothing at all of the message."""
    silent = all(outcome.status is Status.DEFERRED and not outcome.remote for outcome in outcomes)
    return outcomes[0].reply.text if outcomes and silent else None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
