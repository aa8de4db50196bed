"""How much clients do in what time: the rates of the listener, and client control (I/O: the shared state).

Owns: what is counted when, in one call of the state each; when nothing applies, the state is not asked. Connections are
counted by address and network; messages, recipients and octets by login, or else by address (IPv6: by its /64). The
counts of a client are the same on all listeners, each of which holds its own limits against them.
On failure: none; `State.take` goes on in this process alone while the shared state is away.
"""

from functools import lru_cache

from services.edge.decide.control import Control, Who, control_end, control_mail, control_recipient, exceeded
from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.session import Session, Transaction
from shared.bans import subject_of
from shared.policy import Policy
from shared.policy.client import network_of, plain_ip
from shared.policy.table import Rate
from shared.state.port import Ask, State

_REASON = RefusalReason.RATE_EXCEEDED
_CONNECTIONS = refuse(_REASON, 421, "4.7.0", "You connect too often, try again later")
_MESSAGES = refuse(_REASON, 450, "4.7.1", "You send too many messages in too short a time")
_RECIPIENTS = refuse(_REASON, 450, "4.7.1", "You send to too many recipients in too short a time")
_OCTETS = refuse(_REASON, 452, "4.7.1", "You send too much in too short a time")


class Counting:
    """The counts of all clients, as far as this process has a part in them."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def at_connect(self, session: Session) -> Refusal | None:
        """Count a connection, or return why it is one too many."""
        limits = session.limits
        rate = limits.connection_rate
        if rate is None or not session.counted:
            return None
        address, network = _places_of(session.address)
        asks = (Ask(address, rate), Ask(network, Rate(rate.count * limits.network_factor, rate.per_s)))
        return _CONNECTIONS if await self._state.take(asks) is not None else None

    async def at_mail(self, session: Session, sender: str, declared_size: int, policy: Policy) -> Refusal | None:
        """Count a message, or return why it may not be sent. declared_size: 0 where none was declared."""
        general = _general(session, "messages", session.limits.message_rate)
        control = control_mail(policy.clients, Who(session.client, sender), declared_size) if policy.clients else None
        return await self._take(general, control, _MESSAGES)

    async def at_rcpt(self, session: Session, sender: str, recipient: str, policy: Policy) -> Refusal | None:
        """Count a recipient, or return why it is refused. recipient: with its domain."""
        general = _general(session, "recipients", session.limits.recipient_rate)
        control = control_recipient(policy.clients, Who(session.client, sender), recipient) if policy.clients else None
        return await self._take(general, control, _RECIPIENTS)

    async def at_end(self, session: Session, tx: Transaction, size: int, policy: Policy) -> Refusal | None:
        """Count the octets of a whole message, or return why it is not taken."""
        general = _general(session, "octets", session.limits.byte_rate, size)
        control = None
        if policy.clients:
            recipients = [recipient.address for recipient in tx.recipients]
            control = control_end(policy.clients, Who(session.client, tx.sender or ""), recipients, size)
        return await self._take(general, control, _OCTETS)

    async def _take(self, general: Ask | None, control: Control | None, too_much: Refusal) -> Refusal | None:
        if control is not None and control.refusal is not None:
            return control.refusal
        asks = [general] if general is not None else []
        if control is not None:
            asks += [ask for ask, _ in control.asks]
        full = await self._state.take(asks) if asks else None
        if full is None:
            return None
        for ask, rule in control.asks if control is not None else ():
            if ask == full:
                return exceeded(rule, too_much.reply.code)
        return too_much


def _general(session: Session, what: str, rate: Rate | None, amount: int = 1) -> Ask | None:
    """Return what is to be counted by the listener's limits, None where nothing is."""
    if rate is None or not session.counted or amount <= 0:
        return None
    if session.account is not None:
        return Ask(f"rate:{what}:login:{session.account.login.lower()}", rate, amount)
    return Ask(f"rate:{what}:{subject_of(session.address)}", rate, amount)


@lru_cache(maxsize=4096)
def _places_of(address: str) -> tuple[str, str]:
    ip = plain_ip(address)
    return f"rate:connections:{ip}", f"rate:connections:{network_of(ip)}"
