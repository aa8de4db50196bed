"""What greylisting learns from mail that was answered (I/O: writes to the shared state, in the background).

Owns: whom our users wrote to; how much clean mail a network has sent; which domains sent clean mail that passed SPF.
What is known for certain is not written again for an hour, so that a steady stream of mail costs nothing.
Standards: RFC 6647, RFC 7208.
On failure: without the state nothing is learned, and the owner is told.
"""

from collections.abc import Callable, Sequence

from services.edge.background import Background
from services.edge.claims import Claim, Claims
from services.edge.decide.greylist import is_exempt
from services.edge.decide.greylist_keys import clean_key, domain_of, network_key, sent_key, wrote_key
from services.edge.lately import Lately
from services.edge.session import Session
from shared.policy import Policy, Purpose
from shared.policy.greylist import GreylistRules
from shared.state.port import State, StateUnavailable
from shared.verdict import Action

# RFC 5321 §4.5.4.1: so long may a server try to deliver what was sent, or to return it.
_SENT_S = 5 * 86_400
_LEARNED_S = 3600
_LATELY_LIMIT = 20_000


class Learning:
    """What this process teaches all edges. on_away: is told when the state is."""

    def __init__(
        self, state: State, claims: Claims, clock: Callable[[], float], on_away: Callable[[StateUnavailable], None]
    ) -> None:
        self._state = state
        self._claims = claims
        self._clock = clock
        self._on_away = on_away
        self._background = Background()
        self._lately = Lately(_LATELY_LIMIT)

    async def close(self, timeout_s: float) -> None:
        """Let what is being learned be learned, within the time."""
        await self._background.close(timeout_s)

    def learn(
        self, session: Session, sender: str, recipients: Sequence[str], verdict: Action | None, policy: Policy
    ) -> None:
        """Learn from one message; see Greylist.learn."""
        bad = verdict in (Action.QUARANTINE, Action.REFUSE)
        if session.may_relay:
            if not bad and verdict is not Action.DEFER:
                self._learn_contacts(sender, recipients, policy)
        elif session.rules.purpose is Purpose.INBOUND:
            claim = Claim(session.address, session.host_name, sender)
            if bad:
                self._background.do(self._unlearn(claim))
            elif verdict is Action.ACCEPT:
                self._learn_clean(claim, session, recipients, policy)

    def doubt(self, claim: Claim, *, clean: bool) -> None:
        """The state does not know a network (any more), nor its sender as clean if that is false: learn it again.

        Another edge has unlearned it, or the state was emptied.
        """
        self._lately.forget(network_key(claim.address))
        # That it does not pass SPF remains true.
        if not clean and self._lately.get(_proof(claim), self._clock()):
            self._lately.forget(_proof(claim))

    def begin_anew(self) -> None:
        """The state was away and may have come back empty: nothing is known for certain."""
        self._lately.clear()

    # ---- mail of ours

    def _learn_contacts(self, sender: str, recipients: Sequence[str], policy: Policy) -> None:
        domain, rules, now = domain_of(sender), policy.greylist, self._clock()
        if domain not in policy.domains:
            return
        # The whole domain may get answers: who answers to all writes to people who did not write themselves.
        kept = {wrote_key(to, domain): rules.remember_s for to in recipients if domain_of(to) not in policy.domains}
        if not kept:
            return
        kept[sent_key(sender)] = _SENT_S
        new = {key: ttl_s for key, ttl_s in kept.items() if self._lately.get(key, now) is None}
        if new:
            self._background.do(self._keep_contacts(new, now + _certain_s(rules)))

    async def _keep_contacts(self, kept: dict[str, int], until: float) -> None:
        try:
            for key, ttl_s in kept.items():
                await self._state.put(key, "1", ttl_s)
                self._lately.note(key, True, until)
        except StateUnavailable as error:
            self._on_away(error)

    # ---- mail of others, judged clean

    def _learn_clean(self, claim: Claim, session: Session, recipients: Sequence[str], policy: Policy) -> None:
        now = self._clock()
        # Only mail that could have been asked to come again earns that its network is not.
        counts = self._lately.get(network_key(claim.address), now) is None and any(
            not is_exempt(policy, session, claim.sender, recipient) for recipient in recipients
        )
        proves = bool(claim.sender) and self._lately.get(_proof(claim), now) is None
        if counts or proves:
            self._background.do(self._keep_clean(claim, policy.greylist, counts=counts, proves=proves))

    async def _keep_clean(self, claim: Claim, rules: GreylistRules, *, counts: bool, proves: bool) -> None:
        try:
            if counts:
                await self._count(network_key(claim.address), rules)
            if proves:
                await self._prove(claim, rules)
        except StateUnavailable as error:
            self._on_away(error)

    async def _count(self, network: str, rules: GreylistRules) -> None:
        if await self._state.add(network, 1, rules.remember_s) >= rules.allow_after:
            # `add` keeps to the time of the first success; from here on each one prolongs it.
            await self._state.put(network, str(rules.allow_after), rules.remember_s)
            self._lately.note(network, True, self._clock() + _certain_s(rules))

    async def _prove(self, claim: Claim, rules: GreylistRules) -> None:
        proof, until = _proof(claim), self._clock() + _certain_s(rules)
        if self._lately.get(proof, self._clock()) is not None:
            return
        # Noted before it is known, so that a burst of mail evaluates SPF once.
        self._lately.note(proof, False, until)
        if await self._claims.is_proved_in_turn(claim):
            await self._state.put(clean_key(domain_of(claim.sender)), "1", rules.remember_s)
            self._lately.note(proof, True, until)

    # ---- mail of others, judged bad

    async def _unlearn(self, claim: Claim) -> None:
        """Undo it for all edges; each of them, this one included, comes to know of it by `doubt`."""
        network, clean = network_key(claim.address), clean_key(domain_of(claim.sender))
        try:
            await self._state.forget(network)
            if not claim.sender or (await self._state.get([clean]))[0] is None:
                return
            # A forged sender must not cost the domain its good name: only mail that passes SPF is its own.
            if await self._claims.is_proved_in_turn(claim):
                await self._state.forget(clean)
        except StateUnavailable as error:
            self._on_away(error)


def _proof(claim: Claim) -> str:
    """Whether a network may send for a domain is evaluated once in a while, not once per message."""
    return f"{network_key(claim.address)} {domain_of(claim.sender)}"


def _certain_s(rules: GreylistRules) -> float:
    return min(_LEARNED_S, rules.remember_s / 4)
