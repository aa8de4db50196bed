"""What happens between a connection and its greeting, and again when XCLIENT names another client.

Owns: the order in which bans, access rules, places, rates, names, DNS lists and early talk are looked at.
Output: the refusal that ends the session, or None. What DNS says against a client is kept in `session.held_against` and
told at RCPT, for `postmaster` and `abuse` are taken from everybody.
On failure: what cannot be looked up refuses nobody.
"""

from collections.abc import Awaitable, Callable

from services.edge.bans import Bans
from services.edge.counting import Counting
from services.edge.decide.admission import Load, ban_refusal, judge_access_rules, judge_load, place_refusal
from services.edge.decide.names import judge_names
from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.lookups.client import ClientLookups
from services.edge.session import Session
from shared.broker.ports import PolicyPort
from shared.policy import Policy, Purpose, SessionLimits
from shared.policy.client import in_networks, network_of, plain_ip
from shared.policy.listener import ClientCertificates
from shared.state.port import Place, State, StateUnavailable

# A client that once waited for its greeting does not wait again for so long.
_GREETED_S = 7 * 86_400
_EARLY = refuse(RefusalReason.EARLY_TALKER, 554, "5.5.0", "You spoke before you were greeted")

# Waits for so many seconds; returns whether the client said something meanwhile.
Hears = Callable[[float], Awaitable[bool]]


class Admission:
    """The way of all clients of this process to their greeting."""

    def __init__(
        self, *, policy: PolicyPort, state: State, bans: Bans, counting: Counting, lookups: ClientLookups
    ) -> None:
        self._policy = policy
        self._state = state
        self._bans = bans
        self._counting = counting
        self._lookups = lookups

    async def at_connect(self, session: Session, load: Load) -> Refusal | None:
        """Return why the client gets no session, by its address alone. load: this connection included."""
        policy = self._policy.policy
        session.counted = not in_networks(policy.limits.exempt_networks, plain_ip(session.address))
        session.limits = limits_in_force(session, policy, load)
        session.country = self._lookups.country(session.address)
        refusal = judge_load(load, policy, session.rules) or judge_access_rules(session, policy)
        if refusal is not None:
            return refusal
        if not session.trusted and (ban := await self._bans.is_banned(session.address, policy)):
            return ban_refusal(ban)
        if not session.counted:
            return None
        return await self._take_places(session) or await self._counting.at_connect(session)

    async def before_greeting(self, session: Session, hears: Hears) -> Refusal | None:
        """Return why the client is not greeted: by its name, or because it did not wait."""
        policy = self._policy.policy
        inbound = session.rules.purpose is Purpose.INBOUND
        if not session.trusted and (policy.knows_names or (inbound and session.counted)):
            await self._look_up(session, policy)
            # Who was introduced with its HELO name need not say HELO: nothing more will be known of it.
            if refusal := judge_access_rules(session, policy, final=bool(session.host_name)):
                return refusal
        if inbound and session.counted and not session.trusted and await self._talks_early(session, hears):
            return _EARLY
        return None

    def at_helo(self, session: Session) -> Refusal | None:
        """Return why the client is refused now that its name is known."""
        if session.settled:
            return None
        # Before STARTTLS a certificate may still come; who goes on without is judged at MAIL.
        may_come = session.tls is None and session.rules.client_certificates is not ClientCertificates.OFF
        return judge_access_rules(session, self._policy.policy, final=not may_come)

    def at_mail(self, session: Session) -> Refusal | None:
        """Return why the client is refused now that nothing more will be known of it."""
        if session.settled:
            return None
        refusal = judge_access_rules(session, self._policy.policy, final=True)
        # The session goes on: its next MAIL is judged, too, and it may still begin TLS.
        session.settled = refusal is None
        return refusal

    async def leave(self, session: Session) -> None:
        """Give back what the session holds."""
        places, session.places = session.places, ()
        if places:
            await self._state.leave(places)

    async def _take_places(self, session: Session) -> Refusal | None:
        ip, limits = plain_ip(session.address), session.limits
        most = limits.connections_per_address
        places = (Place(f"place:{ip}", most), Place(f"place:{network_of(ip)}", most * limits.network_factor))
        full = await self._state.enter(places)
        if full is not None:
            return place_refusal(full == places[1])
        session.places = tuple(place.key for place in places)
        return None

    async def _look_up(self, session: Session, policy: Policy) -> None:
        held_to_them = session.rules.purpose is Purpose.INBOUND and session.counted
        names = await self._lookups.about(session.address, policy, lists=held_to_them)
        # A name that a listed client has introduced (XCLIENT) is believed as it is.
        if names.reverse is not None and session.name is None:
            session.name = names.reverse.name
        if held_to_them:
            session.held_against = judge_names(policy, names.reverse, names.findings)

    async def _talks_early(self, session: Session, hears: Hears) -> bool:
        wait_s = session.rules.greet_wait_s
        if not wait_s or session.is_implicit_tls:
            return False
        key = f"greeted:{session.address}"
        try:
            known = (await self._state.get([key]))[0] is not None
        except StateUnavailable:
            known = False
        if await hears(0.0 if known else wait_s):
            return True
        if not known:
            try:
                await self._state.put(key, "1", _GREETED_S)
            except StateUnavailable:
                pass
        return False


def limits_in_force(session: Session, policy: Policy, load: Load) -> SessionLimits:
    """Return the listener's limits, tightened while connections run out."""
    limits = session.rules.limits
    return limits.tightened if load.total > policy.limits.stress_at * policy.limits.connections else limits
