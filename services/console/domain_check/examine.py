"""All checks of a domain, side by side (I/O: DNS, HTTPS, delivery over the broker).

Input: a `Subject`, its DKIM keys, the policy's lists. Output: checks, in the order of their topics.
On failure: what could not be asked is a check that says so; raises nothing but cancellation.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from services.console.domain_check.block_lists import BlockList, Listing, judge_listings, lists_to_ask, look_up
from services.console.domain_check.check import Check, Topic
from services.console.domain_check.dkim import KnownKey, judge_dkim
from services.console.domain_check.dmarc import judge_dmarc
from services.console.domain_check.fetch import PolicyFetch
from services.console.domain_check.mta_sts import FetchedPolicy, has_record, judge_mta_sts
from services.console.domain_check.mx import judge_mx
from services.console.domain_check.reverse import judge_reverse
from services.console.domain_check.route import judge_routes
from services.console.domain_check.spf import judge_spf
from services.console.domain_check.subject import Sending, Subject
from services.console.domain_check.tls_rpt import judge_tls_rpt
from shared.dns.answer import DnsTemporary, Resolver
from shared.dns.replay import Lookup, replay
from shared.policy.names import DnsListRules
from shared.wire_route_check import RouteAnswer

# An SPF record may ask for ten names for each of our addresses, and each of these for as many exchanges.
_MAX_LOOKUPS = 400
# Of a pool of sending addresses, so many are looked up in DNS.
MAX_SENDINGS = 64
_DNS_AT_ONCE = 16

Judge = Callable[[Lookup], list[Check]]
AskRoutes = Callable[[str], Awaitable[RouteAnswer]]


@dataclass(frozen=True, slots=True)
class Means:
    """What the examination asks. name: how our mail greets where neither policy nor delivery say it. now: Unix time."""

    resolver: Resolver
    fetch: PolicyFetch
    ask_routes: AskRoutes
    name: str
    now: float


async def examine(subject: Subject, keys: tuple[KnownKey, ...], lists: DnsListRules, means: Means) -> list[Check]:
    """Return all checks of a domain."""
    groups = await asyncio.gather(
        _judged(means, lambda lookup: judge_mx(subject, lookup)),
        _judged(means, lambda lookup: judge_dkim(subject.domain, keys, means.now, lookup)),
        _judged(means, lambda lookup: judge_dmarc(subject.domain, lookup)),
        _mta_sts(subject.domain, means),
        _judged(means, lambda lookup: judge_tls_rpt(subject.domain, lookup)),
        _block_lists(subject.sendings[:MAX_SENDINGS], lists, means),
        _routes_and_names(subject, means),
    )
    found = [check for group in groups for check in group]
    return sorted(found, key=lambda check: list(Topic).index(check.topic))


async def _judged(means: Means, judge: Judge) -> list[Check]:
    return await replay(means.resolver, judge, max_lookups=_MAX_LOOKUPS)


async def _mta_sts(domain: str, means: Means) -> list[Check]:
    fetched: FetchedPolicy | None = None
    try:
        if await replay(means.resolver, lambda lookup: has_record(domain, lookup)):
            fetched = await means.fetch.fetch(domain)
    except DnsTemporary:
        # The judge is told the same, and says it.
        pass
    return await _judged(means, lambda lookup: judge_mta_sts(domain, fetched, lookup))


async def _block_lists(sendings: Sequence[Sending], lists: DnsListRules, means: Means) -> list[Check]:
    places = asyncio.Semaphore(_DNS_AT_ONCE)

    async def of_address(sending: Sending) -> list[Check]:
        async def of_list(one: BlockList) -> Listing:
            async with places:
                return await replay(means.resolver, lambda lookup: look_up(sending.address, one, lookup))

        asked = [one for one in lists_to_ask(lists) if one.rules.ipv6 or sending.address.version == 4]
        return judge_listings(sending.address, await asyncio.gather(*map(of_list, asked)))

    return [check for group in await asyncio.gather(*map(of_address, sendings)) for check in group]


async def _routes_and_names(subject: Subject, means: Means) -> list[Check]:
    """Ask delivery, which tells by the way how it greets, and judge what goes by that name."""
    answer = await means.ask_routes(subject.domain)
    helo = answer.our_name or means.name
    sendings = subject.sendings[:MAX_SENDINGS]
    groups = await asyncio.gather(
        _judged(means, lambda lookup: judge_spf(subject, helo, lookup)),
        *(_judged(means, partial(judge_reverse, sending.address, sending.name or helo)) for sending in sendings),
    )
    return [*judge_routes(answer, means.now), *(check for group in groups for check in group)]
