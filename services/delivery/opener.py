"""Opening a session with a host as the policy wants it spoken to (I/O).

Owns: putting the terms together (what TLS is demanded, who we are, whether we log in), and telling what was seen of
TLS, for reports.
On failure: HopUnreachable, whatever keeps mail from the host; another host may do.
"""

from collections.abc import Callable
from dataclasses import dataclass

from services.delivery.client.session import HopUnreachable, Session, Target, open_session
from services.delivery.client.terms import SessionTerms, Source
from services.delivery.interface import Sources
from services.delivery.secrets import Secrets
from services.delivery.tls.securing import Securing, TlsImpossible
from shared.dns.answer import DnsTemporary
from shared.policy import DeliveryRules
from shared.tls_seen import TlsSeen


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a session is wanted. connect_timeout_s: else as the rules say."""

    rules: DeliveryRules
    sources: Sources
    requiretls: bool = False
    connect_timeout_s: float | None = None


class Opener:
    """Opens sessions. tell: told what each attempt has shown of TLS."""

    def __init__(self, securing: Securing, secrets: Secrets, tell: Callable[[TlsSeen], None]) -> None:
        self._securing = securing
        self._secrets = secrets
        self._tell = tell

    async def open(self, target: Target, wanted: Wanted, deadline: float) -> Session:
        """Return a new session. deadline: loop time. Raises HopUnreachable."""
        source = wanted.sources.for_address(target.address)
        if source is None:
            raise HopUnreachable(target, wanted.sources.explanation)
        try:
            terms = await self._terms(target, wanted, source)
            session = await open_session(target, terms, deadline, self._secrets)
        except HopUnreachable as error:
            if error.seen is not None:
                self._tell(error.seen)
            raise
        if session.seen is not None:
            self._tell(session.seen)
        return session

    async def _terms(self, target: Target, wanted: Wanted, source: Source) -> SessionTerms:
        rules = wanted.rules
        try:
            demand = await self._securing.demand_for(target, rules, requiretls=wanted.requiretls)
        except DnsTemporary as error:
            raise HopUnreachable(target, f"DNS has no answer now: {error}") from None
        except TlsImpossible as error:
            raise HopUnreachable(target, f"TLS: {error}", seen=error.seen, final=error.final) from None
        return SessionTerms(source, wanted.connect_timeout_s or rules.connect_timeout_s, demand, rules.auth)
