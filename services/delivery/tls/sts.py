"""The MTA-STS policies of domains: found, fetched, kept (I/O: DNS, https, the shared state).

Owns: when a policy is fetched, and that one that holds is kept whatever happens to fetches after it.
Standards: RFC 8461 §3.1, §3.3 (fetching), §5.1 (when), §10.2 (a cached policy outlives its record).
Decided here: a domain whose policy cannot be fetched for the first time has none, as the standard has it; whoever can
break that first fetch could break the look-up of the record as well. Afterwards, nothing but its end takes it away.
On failure: no policy, or the old one, and what was wrong, for reports.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from services.delivery.tls.sts_fetch import FetchFailed, PolicyFetcher
from services.delivery.tls.sts_policy import StsPolicy, decode_policy, encode_policy, parse_policy_file
from shared.dns.answer import BadName, DnsTemporary, Resolver
from shared.mta_sts import PolicyInvalid, announced_id
from shared.state.port import State, StateUnavailable
from shared.tls_seen import TlsFailure, TlsResult

_log = structlog.get_logger()

# RFC 8461 §3.3: a fetch that failed is not tried again for five minutes.
RETRY_S = 300.0
# RFC 8461 §5.1 asks for a fetch once a day at least, so that a policy does not end while it is in use.
REFRESH_S = 86_400.0
# For how long what another process may have fetched is not looked for.
_LOOK_AGAIN_S = 300.0
_DOMAINS_LIMIT = 20_000
_FETCHES_LIMIT = 100
# A little more than a fetch may take.
_PATIENCE_S = 65.0


@dataclass(frozen=True, slots=True)
class StsFinding:
    """What is known of a domain. policy: the one in force, of any mode. trouble: why there is none, or no newer."""

    policy: StsPolicy | None = None
    trouble: TlsFailure | None = None


@dataclass(slots=True)
class _Known:
    policy: StsPolicy | None = None
    looked_at: float = 0.0
    failed_at: float = 0.0
    failed_id: str = ""
    trouble: TlsFailure | None = None


class StsPolicies:
    """The policies, over all processes where the state is shared. clock: Unix seconds."""

    def __init__(
        self, resolver: Resolver, state: State, fetcher: PolicyFetcher, clock: Callable[[], float] = time.time
    ) -> None:
        self._resolver = resolver
        self._state = state
        self._fetcher = fetcher
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(_FETCHES_LIMIT)

    async def close(self) -> None:
        """Give up the fetches under way."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
        await self._fetcher.close()

    async def settled(self) -> None:
        """Wait until no fetch is under way."""
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)

    async def find(self, domain: str) -> StsFinding:
        """Return the policy in force for a domain. Raises DnsTemporary where it is still being fetched."""
        known = await self._look_up(domain)
        identifier = await self._announced(domain)
        policy = self._in_force(known)
        if identifier is not None and self._is_to_fetch(known, policy, identifier):
            fetch = self._fetch(domain, identifier, known)
            # What holds is gone by meanwhile, unless it is another that the domain announces by now.
            if policy is None or policy.id != identifier:
                await self._wait_for(fetch, domain)
                policy = self._in_force(known)
        return StsFinding(policy, known.trouble if identifier is not None and identifier == known.failed_id else None)

    async def _wait_for(self, fetch: asyncio.Task[None], domain: str) -> None:
        # Not cancelled with us: several may wait for one fetch.
        await asyncio.wait({fetch}, timeout=_PATIENCE_S)
        if not fetch.done() or fetch.cancelled():
            # It waits behind other domains' fetches, and they are not to take this one's policy away: mail waits.
            raise DnsTemporary(f"mta-sts.{domain}", "A", "the MTA-STS policy there is still being fetched")
        fetch.result()

    async def _look_up(self, domain: str) -> _Known:
        """Return what this process knows, or the shared state."""
        known = self._known.get(domain)
        if known is None:
            known = self._known[domain] = _Known()
            while len(self._known) > _DOMAINS_LIMIT:
                self._known.popitem(last=False)
        self._known.move_to_end(domain)
        now = self._clock()
        if now - known.looked_at >= _LOOK_AGAIN_S:
            known.looked_at = now
            try:
                text = (await self._state.get([_key(domain)]))[0]
            except StateUnavailable:
                text = None
            kept = decode_policy(text) if text is not None else None
            if kept is not None and (known.policy is None or kept.fetched_at > known.policy.fetched_at):
                known.policy = kept
        return known

    async def _announced(self, domain: str) -> str | None:
        try:
            answer = await self._resolver.lookup(f"_mta-sts.{domain}", "TXT")
        except (DnsTemporary, BadName):
            return None
        return announced_id(answer.texts())

    def _in_force(self, known: _Known) -> StsPolicy | None:
        policy = known.policy
        return policy if policy is not None and policy.expires_at > self._clock() else None

    def _is_to_fetch(self, known: _Known, policy: StsPolicy | None, identifier: str) -> bool:
        now = self._clock()
        if identifier == known.failed_id and now - known.failed_at < RETRY_S:
            return False
        if policy is None or policy.id != identifier:
            return True
        return now - policy.fetched_at >= min(REFRESH_S, policy.max_age_s / 2)

    def _fetch(self, domain: str, identifier: str, known: _Known) -> asyncio.Task[None]:
        # One at a time for a domain, however many messages wait for it.
        fetch = self._fetches.get(domain)
        if fetch is None:
            fetch = self._fetches[domain] = asyncio.create_task(self._try(domain, identifier, known))
            fetch.add_done_callback(lambda _: self._fetches.pop(domain, None))
        return fetch

    async def _try(self, domain: str, identifier: str, known: _Known) -> None:
        async with self._places:
            try:
                content = await self._fetcher.fetch(domain)
                known.policy = parse_policy_file(content, identifier, self._clock())
            except FetchFailed as error:
                self._failed(domain, identifier, known, TlsFailure(error.result, str(error)))
                return
            except PolicyInvalid as error:
                self._failed(domain, identifier, known, TlsFailure(TlsResult.STS_INVALID, f"the policy: {error}"))
                return
        known.trouble, known.failed_id = None, ""
        await self._keep(domain, known.policy)

    def _failed(self, domain: str, identifier: str, known: _Known, trouble: TlsFailure) -> None:
        known.failed_at, known.failed_id, known.trouble = self._clock(), identifier, trouble
        _log.warning("mta-sts-not-fetched", domain=domain, reason=trouble.reason, kept=known.policy is not None)

    async def _keep(self, domain: str, policy: StsPolicy) -> None:
        if policy.max_age_s <= 0:
            return
        try:
            await self._state.put(_key(domain), encode_policy(policy), policy.max_age_s)
        except StateUnavailable:
            # This process has it; the others fetch their own.
            _log.warning("mta-sts-not-shared", domain=domain)


def _key(domain: str) -> str:
    return f"sts:{domain}"
