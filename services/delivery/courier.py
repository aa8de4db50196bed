"""One attempt: a part of a message to its hop (I/O).

Owns: from hop to hosts to session to transaction, or to the Maildir; trying the next host where one cannot be reached;
signing what leaves.
Output: `Attempt`, always, within `ATTEMPT_S`.
Standards: RFC 5321 §5.1 (trying hosts in order), RFC 8689 §4.2.1 (REQUIRETLS).
On failure: what is not known is deferred. Busy is no attempt: there was no connection to be had.
"""

import asyncio
import contextlib
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from services.delivery import maildir
from services.delivery.client.session import HopUnreachable, Session, Speech, Target
from services.delivery.client.transaction import NotBegun, transact
from services.delivery.gate import Busy
from services.delivery.hops import HopState
from services.delivery.interface import Sources
from services.delivery.mx import Exchangers, NoHost, route_targets
from services.delivery.opener import Opener, Wanted
from services.delivery.outcome import Attempt, Outcome, Status, same_for_all
from services.delivery.outgoing.signer import Signer
from services.delivery.route import Hop
from shared.dns.answer import DnsTemporary, Resolver
from shared.envelope import Envelope
from shared.errors import TemporaryError
from shared.policy import DeliveryRules
from shared.reply import Reply
from shared.routes import RouteKind

_log = structlog.get_logger()

# No message is held longer (DESIGN §5 says five minutes).
ATTEMPT_S = 230.0
_SPEECH = {RouteKind.SMTP: Speech.SMTP, RouteKind.SMTPS: Speech.SMTPS, RouteKind.LMTP: Speech.LMTP}


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be carried where. terms: which policy the hop is spoken to by; sessions of another are not used."""

    hop: Hop
    envelope: Envelope
    message: bytes
    state: HopState
    rules: DeliveryRules
    sources: Sources
    terms: Hashable = None

    @property
    def wanted(self) -> Wanted:
        """How its session is wanted."""
        return Wanted(self.rules, self.sources, self.envelope.requiretls)

    @property
    def pool_key(self) -> Hashable:
        """Which kept sessions serve it."""
        return self.terms, self.sources.name, self.sources.addresses, self.envelope.requiretls


class Courier:
    """Carries messages to hops. data_dir: where relative Maildir routes begin."""

    def __init__(
        self,
        our_name: str,
        data_dir: Path,
        *,
        resolver: Resolver,
        exchangers: Exchangers,
        opener: Opener,
        signer: Signer,
    ) -> None:
        self._our_name = our_name
        self._data_dir = data_dir
        self._resolver = resolver
        self._exchangers = exchangers
        self._opener = opener
        self._signer = signer
        self._connecting: set[asyncio.Task[Any]] = set()
        self._disk = ThreadPoolExecutor(max_workers=8, thread_name_prefix="maildir")

    def close(self) -> None:
        """Let the threads that write to disk end."""
        self._disk.shutdown(wait=True)

    def give_up_connecting(self) -> None:
        """Cancel the attempts that have said nothing of their message yet: the broker has it for another process."""
        for task in self._connecting:
            task.cancel()

    async def attempt(self, errand: Errand) -> Attempt:
        """Try to deliver and return what became of each recipient. Raises Busy: there is no connection to be had."""
        recipients = errand.envelope.recipients
        try:
            if errand.hop.route.kind is RouteKind.MAILDIR:
                return await self._to_maildir(errand)
            deadline = asyncio.get_running_loop().time() + ATTEMPT_S
            return await self._to_server(errand, deadline)
        except Busy:
            raise
        except NoHost as error:
            return Attempt(same_for_all(recipients, error.reply))
        except DnsTemporary as error:
            reply = Reply(451, "4.4.3", f"DNS has no answer now: {error}")
            return Attempt(same_for_all(recipients, reply), hop_failed=str(error))
        except TemporaryError as error:
            # Ours, and no fault of the hop's.
            _log.warning("attempt-put-off", id=errand.envelope.id, hop=errand.hop.key, cause=error.reason)
            return Attempt(same_for_all(recipients, error.reply))
        except Exception as error:  # whatever it is, the message waits; the log has the rest
            _log.exception("attempt-failed", id=errand.envelope.id, hop=errand.hop.key)
            reply = Reply(451, "4.3.0", f"Local error in delivery ({type(error).__name__})")
            return Attempt(same_for_all(recipients, reply), hop_failed=type(error).__name__)

    async def _to_maildir(self, errand: Errand) -> Attempt:
        root = self._data_dir / errand.hop.route.path
        write = partial(maildir.deliver, root, errand.envelope, errand.message, self._our_name)
        outcomes = await asyncio.get_running_loop().run_in_executor(self._disk, write)
        return Attempt(outcomes, peer=str(root), final=True)

    async def _to_server(self, errand: Errand, deadline: float) -> Attempt:
        message = await self._signer.sign(errand.envelope, errand.message)
        while (kept := errand.state.pool.take(errand.pool_key)) is not None:
            # What a kept session turned out not to have heard is safe to say again.
            with contextlib.suppress(NotBegun):
                return await self._on(kept, errand, message, deadline)
        return await self._on_a_new_session(errand, message, deadline)

    async def _on_a_new_session(self, errand: Errand, message: bytes, deadline: float) -> Attempt:
        failures: list[HopUnreachable] = []
        targets = await self.targets(errand.hop)
        for target in targets:
            if asyncio.get_running_loop().time() >= deadline:
                break
            try:
                session = await errand.state.pool.open(
                    errand.rules.connections_per_hop, partial(self.open, target, errand.wanted, deadline)
                )
            except HopUnreachable as error:
                failures.append(error)
                continue
            return await self._on(session, errand, message, deadline)
        return _unreachable(errand.envelope, failures, all_tried=len(failures) == len(targets))

    async def open(self, target: Target, wanted: Wanted, deadline: float) -> Session:
        """Return a new session with a host. deadline: loop time. Raises HopUnreachable."""
        task = asyncio.current_task()
        assert task is not None
        self._connecting.add(task)
        try:
            return await self._opener.open(target, wanted, deadline)
        finally:
            self._connecting.discard(task)

    async def _on(self, session: Session, errand: Errand, message: bytes, deadline: float) -> Attempt:
        try:
            outcomes = await transact(session, errand.envelope, message, deadline)
        except BaseException:
            session.wire.abort("given up")
            raise
        errand.state.pool.give_back(session, errand.rules, errand.pool_key)
        return Attempt(
            outcomes,
            peer=str(session.target),
            tls=session.tls,
            relays_dsn=session.offered.dsn,
            final=session.target.speech is Speech.LMTP,
            hop_failed=_loss(outcomes),
            source=session.source.address or "",
            security=session.security,
        )

    async def targets(self, hop: Hop) -> list[Target]:
        """Return whom to connect to for a hop, in order; at least one. Raises DnsTemporary, NoHost."""
        if hop.route.kind is RouteKind.MX:
            return await self._exchangers.targets(hop.domain)
        return await route_targets(self._resolver, hop.route)


def _unreachable(envelope: Envelope, failures: list[HopUnreachable], *, all_tried: bool) -> Attempt:
    if not failures:
        reason = "no host could be tried in time"
        return Attempt(same_for_all(envelope.recipients, Reply(451, "4.4.1", reason)), hop_failed=reason)
    failure = failures[-1]
    if all_tried and failure.final is not None and all(one.final is not None for one in failures):
        # RFC 8689 §4.2.1: returned, for no host may have it; the hop itself is well.
        return Attempt(same_for_all(envelope.recipients, failure.final), peer=str(failure.target), is_kept_back=True)
    reason, reply = str(failure), failure.reply
    if reply is None:
        local = same_for_all(envelope.recipients, Reply(451, "4.4.1", reason))
        return Attempt(local, peer=str(failure.target), hop_failed=reason)
    # The host's own words, but deferred even if it says 5xx: it refuses us, not the message.
    code = reply.code if reply.temporary else 451
    enhanced = reply.enhanced if reply.temporary else "4.3.2"
    said = Reply(code, enhanced, reply.text if reply.temporary else f"The host refuses us: {reason}")
    return Attempt(
        same_for_all(envelope.recipients, said, remote=reply.temporary), peer=str(failure.target), hop_failed=reason
    )


def _loss(outcomes: tuple[Outcome, ...]) -> str | None:
    """Return the reason if the hop said nothing at all of the message."""
    silent = all(outcome.status is Status.DEFERRED and not outcome.remote for outcome in outcomes)
    return outcomes[0].reply.text if outcomes and silent else None
