"""All that is looked up about a client before its greeting (I/O: resolver, country database).

Output: ClientNames. Each look-up has its deadline in the policy; they run side by side.
On failure: what cannot be found out is unknown.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from services.edge.lookups.country import Countries, warn_without_database
from services.edge.lookups.dns_lists import DnsLists
from services.edge.lookups.facts import ListFindings
from services.edge.lookups.list_health import ListHealth, OnChange
from services.edge.lookups.list_probe import ProbeResolver
from services.edge.lookups.reverse import confirmed_name
from shared.auth.iprev import ReverseResult, known_name
from shared.policy import Policy


@dataclass(frozen=True, slots=True)
class ClientNames:
    """What DNS says of a client. None: nobody asked."""

    reverse: ReverseResult | None = None
    findings: ListFindings | None = None


class ClientLookups:
    """The look-ups of one process. Raises SettingsError if the country database cannot be used."""

    def __init__(
        self, resolver: ProbeResolver, country_database: Path | None = None, on_list_change: OnChange | None = None
    ) -> None:
        self._resolver = resolver
        self._countries = Countries(country_database)
        self.health = ListHealth(resolver, on_change=on_list_change)
        self._lists = DnsLists(resolver, self.health)

    def start(self) -> None:
        """Begin to probe the lists in the background."""
        self.health.start()

    async def close(self) -> None:
        """End what runs in the background."""
        await self.health.close()

    def follow(self, policy: Policy) -> None:
        """Take the lists of a new policy, and say what of it cannot work."""
        self.health.follow(policy.dns_lists)
        warn_without_database(policy, self._countries)

    def country(self, address: str) -> str | None:
        """Return the country of an address, None if it is not known."""
        return self._countries.of(address)

    async def about(self, address: str, policy: Policy, *, lists: bool = True) -> ClientNames:
        """Return what DNS says of the client. lists: whether to ask DNS lists, too."""
        wants_name = policy.reverse.enabled or policy.knows_names
        wants_lists = lists and bool(policy.dns_lists.lists)
        # What the resolver remembers costs no task and no turn of the loop.
        reverse = known_name(self._resolver, address) if wants_name else None
        findings = self._lists.known(address, policy.dns_lists) if wants_lists else None
        asks_name, asks_lists = wants_name and reverse is None, wants_lists and findings is None
        name = confirmed_name(self._resolver, address, policy.reverse.timeout_s) if asks_name else None
        listing = self._lists.ask(address, policy.dns_lists) if asks_lists else None
        if name is not None and listing is not None:
            async with asyncio.TaskGroup() as group:
                naming, asking = group.create_task(name), group.create_task(listing)
            reverse, findings = naming.result(), asking.result()
        elif name is not None:
            reverse = await name
        elif listing is not None:
            findings = await listing
        return ClientNames(reverse, findings)
