"""One attempt: a part of a message to its hop (I/O).

Owns: from hop to hosts to session to transaction, or to the Maildir; trying the next host where one cannot be reached;
signing what leaves; lesser terms where a message may go on them.
Output: `Attempt`, always, within `ATTEMPT_S`.
Standards: RFC 5321 §5.1 (trying hosts in order), RFC 8689 §3 (TLS-Required), §4.2.1 (REQUIRETLS), §5 (notices).
On failure: what is not known is deferred. Busy is no attempt: there was no connection to be had.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from services.delivery import maildir
from services.delivery.client.session import HopUnreachable, Session, Speech, Target
from services.delivery.client.transaction import NotBegun, transact
from services.delivery.gate import Busy
from services.delivery.hops import HopState
from services.delivery.interface import Sources, warm_ask
from services.delivery.mx import Exchangers, NoHost, route_targets
from services.delivery.opener import Opener, Wanted
from services.delivery.outcome import Attempt, Outcome, Status, same_for_all
from services.delivery.outgoing.signer import Signer
from services.delivery.outgoing.signing import Signed
from services.delivery.route import Hop
from services.delivery.tls.waiver import rules_for, without_starttls
from shared import tracing
from shared.dns.answer import DnsTemporary, Resolver
from shared.envelope import Envelope
from shared.errors import TemporaryError
from shared.policy import DeliveryRules
from shared.reply import Reply
from shared.routes import RouteKind

_log = structlog.get_logger()

# No message is held longer (DESIGN §5 says five minutes).
ATTEMPT_S = 230.0
_GRACE_S = 1.0
# Each host that a domain names may cost seconds, and whoever owns the domain chooses how many.
_LOOK_UP_S = 60.0
_SPEECH = {RouteKind.SMTP: Speech.SMTP, RouteKind.SMTPS: Speech.SMTPS, RouteKind.LMTP: Speech.LMTP}


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be carried where. terms: which policy the hop is spoken to by; sessions of another are not used.

    waives_tls: whether the message asks to go whatever becomes of TLS, and `rules` are as that leaves them.
    until: when all must be done, where other hops have had a part of the message's time; loop time.
    """

    hop: Hop
    envelope: Envelope
    message: bytes
    state: HopState
    rules: DeliveryRules
    sources: Sources
    terms: Hashable = None
    waives_tls: bool = False
    until: float | None = None

    @property
    def wanted(self) -> Wanted:
        """How its session is wanted."""
        return Wanted(self.rules, self.sources, self.envelope.requiretls)

    @property
    def pool_key(self) -> Hashable:
        """Which kept sessions serve it."""
        return self.terms, self.sources.name, self.sources.addresses, self.envelope.requiretls, self.waives_tls


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

    def deadline(self) -> float:
        """Return until when a message that is begun with now may be held, in loop time."""
        return asyncio.get_running_loop().time() + ATTEMPT_S

    async def attempt(self, errand: Errand) -> Attempt:
        """Try to deliver and return what became of each recipient. Raises Busy: there is no connection to be had."""
        recipients = errand.envelope.recipients
        try:
            if errand.hop.route.kind is RouteKind.MAILDIR:
                return await self._to_maildir(errand)
            deadline = self.deadline() if errand.until is None else errand.until
            rules, waives_tls = rules_for(errand.rules, errand.envelope, errand.message)
            return await self._on_its_terms(replace(errand, rules=rules, waives_tls=waives_tls), deadline)
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
        try:
            # A thread that hangs on its disk goes on: written later, the file is the same one.
            async with asyncio.timeout(ATTEMPT_S):
                outcomes = await asyncio.get_running_loop().run_in_executor(self._disk, write)
        except TimeoutError:
            reason = f"the disk has not answered within {ATTEMPT_S:g} s"
            reply = Reply(451, "4.3.0", f"Cannot write to the mailbox: {reason}")
            return Attempt(same_for_all(errand.envelope.recipients, reply), peer=str(root), hop_failed=reason)
        return Attempt(outcomes, peer=str(root), final=True)

    async def _on_its_terms(self, errand: Errand, deadline: float) -> Attempt:
        attempt = await self._to_server(errand, deadline)
        if not attempt.is_kept_back or errand.envelope.sender:
            return attempt
        # RFC 8689 §5: a notice is not lost because its way back has no REQUIRETLS.
        unprotected = replace(errand, envelope=replace(errand.envelope, requiretls=False))
        return await self._to_server(unprotected, deadline)

    async def _to_server(self, errand: Errand, deadline: float) -> Attempt:
        signed = await self._signer.sign(errand.envelope, errand.message)
        while (kept := errand.state.pool.take(errand.pool_key)) is not None:
            if await self._coldness(errand, kept.source.address) is not None:
                errand.state.pool.give_back(kept, errand.rules, errand.pool_key)
                break
            # What a kept session turned out not to have heard is safe to say again.
            with contextlib.suppress(NotBegun):
                return await self._on(kept, errand, signed, deadline)
        return await self._on_a_new_session(errand, signed, deadline)

    async def _on_a_new_session(self, errand: Errand, signed: Signed, deadline: float) -> Attempt:
        failures: list[HopUnreachable] = []
        cold: Busy | None = None
        targets = await self.targets(errand.hop)
        for target in targets:
            if asyncio.get_running_loop().time() >= deadline:
                break
            source = errand.sources.for_address(target.address)
            if source is not None and (busy := await self._coldness(errand, source.address)) is not None:
                cold = busy
                continue
            try:
                with tracing.span("connect") as connecting:
                    connecting.note(peer=target.address)
                    session = await self._session(target, errand, deadline)
            except HopUnreachable as error:
                failures.append(error)
                continue
            return await self._on(session, errand, signed, deadline)
        if cold is not None:
            raise cold
        return _unreachable(errand.envelope, failures, all_tried=len(failures) == len(targets))

    async def _coldness(self, errand: Errand, address: str | None) -> Busy | None:
        """Return why no more goes from an address for now, and count what does. One of two: a lone one was counted."""
        if address is None or len(errand.sources.addresses) < 2:
            return None
        today = dt.datetime.now(dt.UTC).date()
        try:
            await errand.state.seats.count(warm_ask(errand.sources, address, errand.hop.key, today))
        except Busy as busy:
            return busy
        return None

    async def _session(self, target: Target, errand: Errand, deadline: float) -> Session:
        """Return a new session on a seat of the hop's. Raises Busy, HopUnreachable."""
        opening = partial(errand.state.pool.open, errand.rules.connections_per_hop)
        try:
            return await opening(partial(self.open, target, errand.wanted, deadline))
        except HopUnreachable as error:
            plain = without_starttls(errand.rules, target) if errand.waives_tls else None
            if plain is None or error.tls_failure is None:
                raise
        # RFC 8689 §3: sent whether STARTTLS can be had or not.
        return await opening(partial(self.open, target, Wanted(plain, errand.sources), deadline))

    async def open(self, target: Target, wanted: Wanted, deadline: float) -> Session:
        """Return a new session with a host. deadline: loop time. Raises HopUnreachable."""
        task = asyncio.current_task()
        assert task is not None
        self._connecting.add(task)
        try:
            # What is looked up for it (TLSA records, MTA-STS policies) has no end at the deadline by itself.
            async with asyncio.timeout_at(deadline + _GRACE_S):
                return await self._opener.open(target, wanted, deadline)
        except TimeoutError:
            raise HopUnreachable(target, "no session in time") from None
        finally:
            self._connecting.discard(task)

    async def _on(self, session: Session, errand: Errand, signed: Signed, deadline: float) -> Attempt:
        try:
            with tracing.span("transaction"):
                outcomes = await transact(session, errand.envelope, signed.message, deadline)
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
            signing=signed.signing,
        )

    async def targets(self, hop: Hop) -> list[Target]:
        """Return whom to connect to for a hop, in order; at least one. Raises DnsTemporary, NoHost."""
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                if hop.route.kind is RouteKind.MX:
                    return await self._exchangers.targets(hop.domain)
                return await route_targets(self._resolver, hop.route)
        except TimeoutError:
            cause = f"its hosts have not been found within {_LOOK_UP_S:g} s"
            raise DnsTemporary(hop.domain or hop.route.host, "A", cause) from None


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
