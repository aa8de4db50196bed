"""Greylisting over the state that all edges share (I/O).

Owns: what is looked up, in which order. Exempt mail costs no look-up; a try costs one `get` of all that could let it
pass; SPF is evaluated only for a try that would have to wait although its sender's domain is known as clean.
Output: the refusal GREYLISTED, or None. Counts of what passed, and why.
Standards: RFC 6647, RFC 7208.
On failure: without the state, greylisting stands aside: mail flows, each change is logged once, what flowed is counted.

The null sender is asked too, as (network, "", recipient), for bots use it. But a server that verifies a sender of ours
by calling back comes with it as well, and would defer our mail for as long as we defer the call: so who sent mail
outside in the last days gets mail of the null sender, DSNs included, at once.
"""

import time
from collections.abc import Callable, Sequence
from enum import StrEnum

import structlog
from prometheus_client import Counter

from services.edge.claims import Claim, Claims
from services.edge.decide.greylist import (
    Judged,
    Seen,
    Step,
    greylisted,
    is_exempt,
    is_known_network,
    judge_try,
    read_seen,
)
from services.edge.decide.greylist_keys import keys_of
from services.edge.decide.refusal import Refusal
from services.edge.greylist_learning import Learning
from services.edge.session import Session
from shared.dns.answer import Resolver
from shared.policy import Policy
from shared.policy.greylist import GreylistRules
from shared.state.port import State, StateUnavailable
from shared.verdict import Action

_log = structlog.get_logger()

ASIDE = Counter("gatepost_edge_greylist_aside_total", "Recipients not greylisted because the shared state was away")
PASSED = Counter("gatepost_edge_greylist_passed_total", "Recipients that greylisting let pass, by reason", ["why"])


class Why(StrEnum):
    """Why a try passes."""

    NETWORK = "network"
    CORRESPONDENT = "correspondent"
    CLEAN_SENDER = "clean-sender"
    CAME_AGAIN = "came-again"


_PASSED = {why: PASSED.labels(why.value) for why in Why}


class Greylist:
    """Greylisting in this process. hostname: our own name, for SPF. clock: Unix seconds, as on all other edges."""

    def __init__(
        self, *, state: State, resolver: Resolver, hostname: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._state = state
        self._clock = clock
        self._claims = Claims(resolver, hostname)
        self._learning = Learning(state, self._claims, clock, self._stand_aside)
        self._aside = False

    async def close(self, timeout_s: float) -> None:
        """Let what is being learned be learned, within the time."""
        await self._learning.close(timeout_s)

    async def judge(self, session: Session, sender: str, recipient: str, policy: Policy) -> Refusal | None:
        """Return the refusal that asks to come again, or None. sender: empty for the null reverse-path."""
        if not policy.greylist.enabled or is_exempt(policy, session, sender, recipient):
            return None
        claim = Claim(session.address, session.host_name, sender)
        try:
            came_to = await self._judge(claim, recipient, policy.greylist)
        except StateUnavailable as error:
            self._stand_aside(error)
            ASIDE.inc()
            return None
        self._go_on()
        if isinstance(came_to, Why):
            _PASSED[came_to].inc()
            return None
        return greylisted(came_to.left_s)

    def learn(
        self, session: Session, sender: str, recipients: Sequence[str], verdict: Action | None, policy: Policy
    ) -> None:
        """Learn from a message that was answered, in the background. verdict: None if there was none in time.

        Mail of ours makes correspondents, unless its verdict was bad. Mail of others that was judged clean counts for
        its network and, if it passes SPF, for its domain; mail that was not undoes both.
        """
        if policy.greylist.enabled:
            self._learning.learn(session, sender, recipients, verdict, policy)

    async def _judge(self, claim: Claim, recipient: str, rules: GreylistRules) -> Why | Judged:
        """Return why a try passes, or that it waits."""
        keys = keys_of(claim.address, claim.sender, recipient)
        attempt, network, contact, *clean = await self._state.get(keys.all)
        if is_known_network(network, rules):
            return Why.NETWORK
        is_clean = clean not in ([], [None])
        self._learning.doubt(claim, clean=is_clean)
        if contact is not None:
            return Why.CORRESPONDENT
        now = self._clock()
        judged = judge_try(read_seen(attempt), now, rules)
        if not judged.passes and is_clean and await self._claims.is_proved(claim):
            return Why.CLEAN_SENDER
        if judged.step is Step.BEGIN:
            judged = await self._begin(keys.attempt, attempt, now, rules)
        if judged.step is Step.PASS_AND_NOTE:
            await self._state.put(keys.attempt, str(Seen(now, passed=True)), rules.remember_s)
        return Why.CAME_AGAIN if judged.passes else judged

    async def _begin(self, key: str, found: str | None, now: float, rules: GreylistRules) -> Judged:
        """Note a first try, unless another edge has noted it in the meantime. found: what there was, out of date."""
        first = str(Seen(now))
        if found is not None:
            await self._state.put(key, first, rules.retry_within_s)
        elif (other := await self._state.put_first(key, first, rules.retry_within_s)) is not None:
            return judge_try(read_seen(other), now, rules)
        return Judged(Step.BEGIN, rules.wait_s)

    def _stand_aside(self, error: StateUnavailable) -> None:
        if not self._aside:
            self._aside = True
            _log.warning("greylisting-stands-aside", cause=str(error))

    def _go_on(self) -> None:
        if self._aside:
            self._aside = False
            self._learning.begin_anew()
            _log.info("greylisting-goes-on")
