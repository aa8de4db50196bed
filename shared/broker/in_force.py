"""The policy in force in this process (I/O: reads its stream).

Owns: following `gatepost.policy`: the highest valid version wins and never goes back.
On failure: an entry that cannot be read is logged and refused; the last good one stays in force.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from shared.broker.connect import Link
from shared.broker.consume import StreamReader
from shared.broker.topology import Queue
from shared.errors import SettingsError
from shared.policy import Policy
from shared.policy_entry import PolicyEntry, decode_policy

_log = structlog.get_logger()


class PolicyInForce:
    """The active policy; there is none until the stream has been read. version: of what is in force, 0 for none."""

    def __init__(self, link: Link, on_change: Callable[[Policy], None] | None = None) -> None:
        self.version = 0
        self._highest = 0
        self._policy: Policy | None = None
        self._stable: PolicyEntry | None = None
        self._on_change = on_change
        self._known = asyncio.Event()
        self._revert: asyncio.TimerHandle | None = None
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
        if entry.version <= self._highest:
            return
        try:
            policy = entry.policy()
        except SettingsError as error:
            _log.error("policy-refused", version=entry.version, cause=str(error), in_force=self.version)
            return
        # A version that waited for its confirmation and did not get it is passed over, also by a stage that was down.
        if entry.confirm_by is not None and entry.confirm_by <= time.time():
            return
        self._take(entry, policy)

    def _take(self, entry: PolicyEntry, policy: Policy) -> None:
        self._highest = entry.version
        if self._revert is not None:
            self._revert.cancel()
            self._revert = None
        if entry.confirm_by is None:
            self._stable = entry
        elif self._stable is not None:
            wait_s = max(0.0, entry.confirm_by - time.time())
            self._revert = asyncio.get_running_loop().call_later(wait_s, self._go_back, entry.version)
        self._set(policy, entry.version)

    def _go_back(self, version: int) -> None:
        if self._stable is not None and self.version == version:
            _log.warning("policy-not-confirmed", version=version, back_to=self._stable.version)
            self._set(self._stable.policy(), self._stable.version)

    def _set(self, policy: Policy, version: int) -> None:
        self._policy, self.version = policy, version
        _log.info("policy-in-force", version=version)
        self._known.set()
        if self._on_change is not None:
            self._on_change(policy)
