"""Who may connect to what a service offers beside its task: metrics, and the console's pages (I/O: the shared state).

Owns: the access rules of the policy in force, and bans, for every listener that is not SMTP (edge has its own, longer
way there). 127.0.0.1 and ::1 always reach `/healthz`, `/readyz` and `/metrics`: whoever keeps the process running asks
from there, and a rule about mail must not end it.
On failure: while no policy is known, everybody is admitted, as where there are no rules; while the shared state is
away, nobody counts as banned. Without a shared state only the rules hold.
"""

import time
from collections.abc import Callable
from ipaddress import ip_address

from shared.bans import ban_key, decode_ban, is_exempt, subject_of
from shared.broker.ports import PolicyPort
from shared.policy import Policy
from shared.policy.access import AccessAction, Service, judge_access
from shared.policy.client import ClientFacts, plain_ip
from shared.state.port import State, StateUnavailable

_OWN_HOST = frozenset({ip_address("127.0.0.1"), ip_address("::1")})


class Gate:
    """The gate of one process. state: where bans stand, None where they cannot be seen. clock: Unix seconds."""

    def __init__(self, policy: PolicyPort, state: State | None = None, clock: Callable[[], float] = time.time) -> None:
        self._policy = policy
        self._state = state
        self._clock = clock

    async def admits(self, address: str, service: Service) -> bool:
        """Whether a client may connect to a service."""
        try:
            policy, ip = self._policy.policy, plain_ip(address)
        except LookupError:
            return True
        except ValueError:
            return False
        if service is Service.METRICS and ip in _OWN_HOST:
            return True
        action = judge_access(policy.access, ClientFacts(ip), service).action
        if action is not None:
            return action is AccessAction.ALLOW
        return not await self._is_banned(address, policy)

    async def _is_banned(self, address: str, policy: Policy) -> bool:
        if self._state is None or not policy.bans.enabled or is_exempt(address, policy):
            return False
        try:
            value = (await self._state.get([ban_key(subject_of(address))]))[0]
        except StateUnavailable:
            return False
        ban = decode_ban(value) if value is not None else None
        return ban is not None and ban.left_s(self._clock()) > 0
