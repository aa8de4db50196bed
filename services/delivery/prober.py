"""Asking a hop whether it takes a recipient, without sending it anything (I/O).

Owns: MAIL with the null sender, RCPT, RSET, on a session like delivery's own, STARTTLS included.
Input: a hop, a recipient, the rules of delivery. Output: `Probed`, always, within `PROBE_S`.
Standards: RFC 5321 §3.3 and §4.1.1.5 (RSET), RFC 2920 (pipelining), RFC 6531 §3.5.
Decided here: a probe takes a place at the hop's gate like a message, so that mail and probes together keep the policy's
bound; a hop that is left alone is not probed either. What a probe learns of the hop's health counts, but for its own
haste: a hop that is slow for a probe may be quick enough for mail.
"""

import asyncio
import contextlib
import time
from functools import partial

import structlog

from services.delivery.client.session import HopUnreachable, Session
from services.delivery.client.wire import WireLost
from services.delivery.courier import Courier
from services.delivery.gate import Busy
from services.delivery.hops import Hops, HopState
from services.delivery.judge_probe import Probed, judge_probe, unknown
from services.delivery.mx import NoHost
from services.delivery.opener import Wanted
from services.delivery.ports import SourcesPort
from services.delivery.probing import TooManyProbes
from services.delivery.route import Hop
from services.delivery.traffic.manner import manner_of_connecting
from shared.dns.answer import DnsTemporary
from shared.policy import Policy
from shared.reply import Reply
from shared.routes import RouteKind
from shared.wire_verify import VerifyResult

_log = structlog.get_logger()
# Edge waits a little longer for the answer.
PROBE_S = 8.0
_CONNECT_S = 3.0
_RESET = b"RSET\r\n"


class _SessionGone(Exception):
    """A kept session turned out dead before it said anything."""


class Prober:
    """Probes hops, through the gates that mail goes through."""

    def __init__(self, courier: Courier, hops: Hops, sources: SourcesPort) -> None:
        self._courier = courier
        self._hops = hops
        self._sources = sources

    async def probe(self, hop: Hop, recipient: str, policy: Policy) -> Probed:
        """Return what the hop says of a recipient."""
        if hop.route.kind is RouteKind.MAILDIR:
            # Delivery makes every mailbox that it is asked for.
            return Probed(VerifyResult.TAKEN)
        try:
            async with asyncio.timeout(PROBE_S):
                rules = hop.rules(policy)
                wanted = Wanted(
                    rules,
                    self._sources(policy, "", rules, recipient),
                    connect_timeout_s=min(_CONNECT_S, rules.connect_timeout_s),
                )
                return await self._in_turn(hop, recipient, wanted)
        except TimeoutError:
            return unknown(f"the hop did not answer within {PROBE_S:g} s")
        except (Busy, HopUnreachable, DnsTemporary, WireLost) as error:
            return unknown(str(error))
        except TooManyProbes:
            return unknown("too many questions wait for this hop")
        except NoHost as error:
            # No server for the domain is a fault of its route, not of the recipient.
            return unknown(str(error.reply))
        except Exception as error:  # whatever it is, nothing is known of the recipient
            _log.exception("probe-failed", hop=hop.key)
            return unknown(type(error).__name__)

    async def _in_turn(self, hop: Hop, recipient: str, wanted: Wanted) -> Probed:
        state = self._hops.state_of(hop.key)
        self._hops.refuse_suspended(state)
        async with state.probing.place():
            await state.gate.enter(wanted.rules.connections_per_hop, keep_free=1)
            begun = time.monotonic()
            try:
                probed = await self._ask(hop, recipient, state, wanted)
            except HopUnreachable as error:
                state.gate.leave(time.monotonic() - begun, manner_of_connecting(error.reply, str(error)))
                raise
            except BaseException:
                state.gate.withdraw()
                raise
            state.gate.leave(time.monotonic() - begun)
            return probed

    async def _ask(self, hop: Hop, recipient: str, state: HopState, wanted: Wanted) -> Probed:
        rules = wanted.rules
        while (kept := state.probing.pool.take(_key(wanted))) is not None:
            try:
                return await self._on(kept, recipient, state, wanted)
            except _SessionGone:
                continue
        session = await state.probing.pool.open(rules.connections_per_hop, partial(self._open, hop, wanted))
        return await self._on(session, recipient, state, wanted)

    async def _open(self, hop: Hop, wanted: Wanted) -> Session:
        failure: HopUnreachable | None = None
        deadline = asyncio.get_running_loop().time() + PROBE_S
        for target in await self._courier.targets(hop):
            try:
                return await self._courier.open(target, wanted, deadline)
            except HopUnreachable as error:
                failure = error
        # A hop always has a target.
        assert failure is not None
        raise failure

    async def _on(self, session: Session, recipient: str, state: HopState, wanted: Wanted) -> Probed:
        try:
            probed = await _converse(session, recipient)
        except WireLost:
            said = session.wire.rest()
            if session.transactions and not said:
                raise _SessionGone from None
            raise
        except BaseException:
            session.wire.abort("given up")
            raise
        session.transactions += 1
        session.refused += probed.result is VerifyResult.REFUSED
        state.probing.give_back(session, wanted.rules, _key(wanted))
        return probed


def _key(wanted: Wanted) -> tuple[str, tuple[str, ...], str]:
    """Return which kept sessions serve a probe: those opened on the same terms."""
    return wanted.sources.name, wanted.sources.addresses, wanted.rules.model_dump_json()


async def _converse(session: Session, recipient: str) -> Probed:
    if not recipient.isascii() and not session.offered.smtputf8:
        # RFC 6531 §3.5: not to be sent to a server without SMTPUTF8, which therefore has no such mailbox.
        return Probed(VerifyResult.REFUSED, "the next hop does not take internationalized addresses (SMTPUTF8)")
    mail = b"MAIL FROM:<>\r\n" if recipient.isascii() else b"MAIL FROM:<> SMTPUTF8\r\n"
    rcpt = f"RCPT TO:<{recipient}>\r\n".encode()
    # RFC 2920 §3.1: MAIL, RCPT and RSET may go in one group.
    at_once = session.offered.pipelining
    session.wire.write(mail + rcpt + _RESET if at_once else mail)
    mailed = await _hear(session)
    if mailed.code == 421 and session.transactions:
        # RFC 5321 §3.8: a kept session that the hop has just closed.
        session.wire.abort("closed by the next hop with 421")
        raise _SessionGone
    answered = None
    if at_once or mailed.positive:
        if not at_once:
            session.wire.write(rcpt)
        answered = await _hear(session)
    # What was said of the recipient stands, whatever becomes of the session.
    with contextlib.suppress(WireLost):
        if not at_once:
            session.wire.write(_RESET)
        if not (await _hear(session)).positive:
            session.wire.abort("RSET was refused")
    return judge_probe(mailed, answered)


async def _hear(session: Session) -> Reply:
    # The deadline over all of it stands in `probe`; this one is never reached first.
    answer = (await session.wire.replies(1, asyncio.get_running_loop().time() + PROBE_S))[0]
    return answer.as_reply()
