"""Those who know more of clients and recipients than the policy says, built and owned together.

Owns: the shared state of this process, and all that counts, looks up and remembers over it.
On failure: each stands aside by itself where what it asks is away; mail flows.
"""

from pathlib import Path

from services.edge.admission import Admission
from services.edge.background import Background
from services.edge.bans import Bans
from services.edge.counting import Counting
from services.edge.decide.refusal import RefusalReason
from services.edge.greylist import Greylist
from services.edge.lookups.client import ClientLookups
from services.edge.ports import PublisherPort
from services.edge.recipients.ldap import Directory
from services.edge.recipients.recipients import Recipients
from services.edge.recipients.verification import Verification
from services.edge.refusals import Refusals
from services.edge.session import Session
from services.edge.throttle import LoginThrottle
from shared.broker.ports import EventsPort, PolicyPort
from shared.dns.resolver import CachingResolver
from shared.policy import Policy
from shared.state.open import OwnedState


class Defences:
    """The defences of one process. process_key: of its reply queues. Raises SettingsError."""

    def __init__(
        self,
        *,
        hostname: str,
        policy: PolicyPort,
        events: EventsPort,
        publisher: PublisherPort,
        process_key: str,
        resolver: CachingResolver,
        state: OwnedState,
        directory: Directory | None = None,
        country_database: Path | None = None,
    ) -> None:
        self.state = state
        self._policy = policy
        self._resolver = resolver
        self._background = Background()
        self.bans = Bans(state, events)
        self.counting = Counting(state)
        self.throttle = LoginThrottle(state)
        self.lookups = ClientLookups(resolver, country_database)
        self.verification = Verification(publisher, process_key)
        self.recipients = Recipients(self.verification, directory, state)
        self.greylist = Greylist(state=state, resolver=resolver, hostname=hostname)
        self.admission = Admission(
            policy=policy, state=state, bans=self.bans, counting=self.counting, lookups=self.lookups
        )
        self.refusals = Refusals(events, self._on_refusal)

    async def start(self) -> None:
        """Begin what runs in the background."""
        await self.state.start()
        self.lookups.start()

    def follow(self, policy: Policy) -> None:
        """Go by a new policy."""
        self.lookups.follow(policy)
        self.recipients.follow_policy()

    async def close(self, timeout_s: float) -> None:
        """End what runs in the background; what is being learned is learned, within the time."""
        await self.greylist.close(timeout_s)
        await self._background.close(timeout_s)
        await self.recipients.close()
        await self.lookups.close()
        await self._resolver.close()
        await self.state.close()

    def _on_refusal(self, session: Session, reason: RefusalReason) -> None:
        policy = self._policy.policy
        if points := self.bans.points(session, reason, policy):
            self._background.do(self.bans.punish(session.address, points, reason.value, policy))
