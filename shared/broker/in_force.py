"""The policy in force in this process (I/O: reads its stream).

Owns: following `gatepost.policy`. Which entry holds, `shared.policy_entry.in_force` says; here is what it is asked of:
the highest version that nobody need confirm, and those above it that wait. What has gone back never comes again, even
if the clock is set back.
Clocks: a version ends by the clock of each host. It waits for a minute at least, so that hosts whose clocks differ by
less agree on all but the moment; an entry from the future is said in the log.
On failure: an entry that cannot be read is logged and refused; the last good one stays in force.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from prometheus_client import Gauge

from shared.broker.connect import Link
from shared.broker.consume import StreamReader
from shared.broker.topology import Queue
from shared.errors import SettingsError
from shared.logs import take_levels
from shared.policy import Policy
from shared.policy_entry import PolicyEntry, decode_policy, in_force

_log = structlog.get_logger()
# The clock may be set while a version waits, and a timer would not see it.
_LOOK_EVERY_S = 10.0
_CLOCKS_DIFFER_S = 5.0

POLICY_VERSION = "gatepost_policy_version"
VERSION = Gauge(POLICY_VERSION, "Version of the policy in force, 0 for none", multiprocess_mode="livemin")
REFUSED = Gauge(
    "gatepost_policy_refused_version",
    "Highest version of the policy that this process could not use, 0 for none",
    multiprocess_mode="livemax",
)


class PolicyInForce:
    """The active policy; there is none until the stream has been read. version: of what is in force, 0 for none.

    clock: Unix seconds.
    """

    def __init__(
        self,
        link: Link,
        on_change: Callable[[Policy], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.version = 0
        self._refused = 0
        self._policy: Policy | None = None
        self._on_change = on_change
        self._clock = clock
        # By version: what may still be in force, now or when others are over; parsed once.
        self._kept: dict[int, tuple[PolicyEntry, Policy]] = {}
        self._over: set[int] = set()
        self._known = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        StreamReader(link, Queue.POLICY.value, self._on_entry)

    @property
    def is_known(self) -> bool:
        """Whether a policy is in force."""
        return self._policy is not None

    @property
    def policy(self) -> Policy:
        """The policy in force. Raises LookupError while none is known: a stage is not ready before."""
        if self._policy is None:
            raise LookupError("no policy yet: run `gatepost policy apply`")
        return self._policy

    async def wait_known(self) -> None:
        """Wait for the first policy."""
        await self._known.wait()

    async def _on_entry(self, body: bytes) -> None:
        entry = decode_policy(body)
        # Known, over, or below what nobody need confirm: it cannot come to hold any more.
        if entry.version < 1 or entry.version in self._kept or entry.version in self._over:
            return
        if entry.version < max((one.version for one, _ in self._kept.values() if one.confirm_by is None), default=0):
            return
        try:
            policy = entry.policy()
        except SettingsError as error:
            _log.error("policy-refused", version=entry.version, cause=str(error), in_force=self.version)
            self._refused = max(self._refused, entry.version)
            REFUSED.set(self._refused)
            return
        now = self._clock()
        if entry.at - now > _CLOCKS_DIFFER_S:
            _log.warning("clocks-differ", version=entry.version, ahead_s=round(entry.at - now, 1))
        self._kept[entry.version] = (entry, policy)
        self._judge()

    def _judge(self) -> None:
        """Take what holds now, and look again when that may change."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        held = in_force((entry for entry, _ in self._kept.values()), now, usable=lambda _: True)
        assert held is not None
        self._forget(held, now)
        ends = [entry.confirm_by for entry, _ in self._kept.values() if entry.confirm_by is not None]
        if waits := [end - now for end in ends if end > now]:
            self._timer = asyncio.get_running_loop().call_later(min(*waits, _LOOK_EVERY_S), self._judge)
        if held.version != self.version:
            self._set(held)

    def _forget(self, held: PolicyEntry, now: float) -> None:
        """Let go what can hold no more."""
        confirmed = max((entry.version for entry, _ in self._kept.values() if entry.confirm_by is None), default=0)
        for version, (entry, _) in list(self._kept.items()):
            is_over = entry.is_over(now) and entry is not held
            if is_over or version < confirmed:
                del self._kept[version]
            if is_over:
                self._over.add(version)
                if version == self.version:
                    _log.warning("policy-not-confirmed", version=version, back_to=held.version)

    def _set(self, entry: PolicyEntry) -> None:
        policy = self._kept[entry.version][1]
        self._policy, self.version = policy, entry.version
        VERSION.set(entry.version)
        take_levels(policy.log.of)
        _log.info("policy-in-force", version=entry.version)
        self._known.set()
        if self._on_change is not None:
            self._on_change(policy)
