"""The one resolver of a process: zone files first, then the cache, then the nameservers.

Owns: the cache, and the look-ups under way (one per name and type, however many wait for it).
Input: names of mail; nameservers as "ip", "ip:port" or "[ipv6]:port"; master files. Output: Answer.
Standards: RFC 1035, RFC 2308, RFC 6761. Names are absolute: no search list is ever applied.
On failure: DnsTemporary, remembered for 2 s; BadName for what cannot be asked; ZoneError and ValueError at start. A
zone that leaves many waiting is not asked for a while (silence.py), which is DnsTemporary at once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from prometheus_client import Counter

from shared.dns.answer import RDTYPES, Answer, DnsTemporary
from shared.dns.cache import Cache, Failure, Key, Outcome
from shared.dns.chain import Chase, Step, Unusable, step_in_zone
from shared.dns.names import canonical
from shared.dns.nameserver import parse_nameserver, system_nameservers
from shared.dns.silence import SLOW_S, SilentZones
from shared.dns.special import special_answer
from shared.dns.upstream import Upstream
from shared.dns.zonefile import Zone, ZoneError, parse_zone
from shared.logs import in_detail

__all__ = ["CachingResolver", "system_nameservers"]

_log = structlog.get_logger()
_silent = Counter("gatepost_dns_silent_zones_total", "Times that a zone's nameservers were given up for a while")


class CachingResolver:
    """Implements the port Resolver. timeout_s bounds a whole lookup, with its retries, servers and aliases.

    slow_s: who waits longer than that waits in vain, as silence.py counts it.
    """

    def __init__(
        self,
        nameservers: Sequence[str],
        zone_files: Sequence[Path] = (),
        timeout_s: float = 5.0,
        max_entries: int = 50_000,
        *,
        slow_s: float = SLOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._zones = {zone.origin: zone for zone in map(_load_zone, zone_files)}
        self._timeout_s = timeout_s
        self._upstream = Upstream([parse_nameserver(text) for text in nameservers], timeout_s, self._is_in_a_zone)
        self._cache = Cache(max_entries)
        self._slow_s = min(slow_s, timeout_s / 2)
        self._silent = SilentZones()
        self._clock = clock
        self._flights: dict[Key, asyncio.Task[Outcome]] = {}
        self._closed = False

    def cached(self, name: str, rdtype: str) -> Answer | None:
        """Return what is known without asking, None if nothing is. Raises DnsTemporary, BadName."""
        key = _key(name, rdtype)
        outcome = self._known(key)
        return None if outcome is None else _answer(key, outcome)

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """Return the answer, asking a nameserver if need be. Raises DnsTemporary, BadName."""
        key = _key(name, rdtype)
        outcome = self._known(key)
        if outcome is None:
            begun = self._clock()
            outcome = await self._wait(key)
            if in_detail():
                _log.debug("dns-asked", name=name, type=rdtype, ms=round((self._clock() - begun) * 1000))
        return _answer(key, outcome)

    def forget(self, name: str, rdtype: str) -> None:
        """Have the next look-up ask a nameserver, whatever is remembered. Raises BadName."""
        self._cache.forget(_key(name, rdtype))

    async def close(self) -> None:
        """End the look-ups under way; they and all later ones fail with DnsTemporary."""
        self._closed = True
        # A flight that has not begun yet would end without an outcome: let it begin.
        await asyncio.sleep(0)
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _known(self, key: Key) -> Outcome | None:
        outcome = self._cache.get(key, self._clock())
        return outcome if outcome is not None else self._resolve_here(key)

    async def _wait(self, key: Key) -> Outcome:
        """Wait for the flight, unless its zone leaves too many waiting; it goes on without us, for the cache."""
        if not self._silent.may_ask(key, self._clock()):
            return _GIVEN_UP
        # Not cancelled with us: several may wait for one flight, and one who gives up must not end it for the others.
        flight = self._flight(key)
        if (await asyncio.wait({flight}, timeout=self._slow_s))[0]:
            return flight.result()
        if names := self._silent.waited(key, self._clock()):
            _silent.inc()
            _log.warning("dns-silent", at_or_below=names, type=key[1])
        while not self._silent.rests(key, self._clock()):
            if (await asyncio.wait({flight}, timeout=self._slow_s / 4))[0]:
                return flight.result()
        return _GIVEN_UP

    def _flight(self, key: Key) -> asyncio.Task[Outcome]:
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fly(key))
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return flight

    async def _fly(self, key: Key) -> Outcome:
        began_s = self._clock()
        outcome = await self._outcome(key)
        if isinstance(outcome, Answer) or self._clock() - began_s < self._slow_s:
            self._silent.answered(key)
        return outcome

    async def _outcome(self, key: Key) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout_s):
                return self._remember(key, await self._resolve(key))
        except TimeoutError:
            return self._remember(key, Failure(f"no answer within {self._timeout_s:g} s"))
        except asyncio.CancelledError:
            return Failure("the resolver is closed")
        except Unusable as error:
            return self._remember(key, Failure(str(error)))
        except Exception as error:
            # What else a hostile packet may provoke is unknown, and unknown is temporary.
            return self._remember(key, Failure(f"malformed answer ({type(error).__name__}: {error})"))

    async def _resolve(self, key: Key) -> Answer:
        if self._closed:
            raise Unusable("the resolver is closed")
        name, rdtype = key
        chase = Chase(name, rdtype)
        answer: Answer | None = None
        while answer is None:
            step = self._step_here(chase.target, rdtype)
            answer = chase.take(step if step is not None else await self._upstream.ask(chase.target, rdtype))
        return answer

    def _resolve_here(self, key: Key) -> Outcome | None:
        """Return what zone files and standards say without any nameserver, None where one must be asked."""
        name, rdtype = key
        chase = Chase(name, rdtype)
        try:
            while (step := self._step_here(chase.target, rdtype)) is not None:
                if (answer := chase.take(step)) is not None:
                    return self._remember(key, answer)
        except Unusable as error:
            return self._remember(key, Failure(str(error)))
        return None

    def _step_here(self, name: str, rdtype: str) -> Step | None:
        zone = self._zone_of(name)
        # RFC 6761 §6: special names are fixed unless the operator says otherwise, which a zone file does.
        return special_answer(name, rdtype) if zone is None else step_in_zone(zone, name, rdtype)

    def _zone_of(self, name: str) -> Zone | None:
        """Return the zone with the nearest origin at or above name."""
        if not self._zones:
            return None
        while name and name not in self._zones:
            name = name.partition(".")[2]
        return self._zones.get(name)

    def _is_in_a_zone(self, name: str) -> bool:
        return self._zone_of(name) is not None

    def _remember(self, key: Key, outcome: Outcome) -> Outcome:
        self._cache.put(key, outcome, self._clock())
        return outcome


# Not remembered: the cache's two seconds would outlast a rest that an answer has ended.
_GIVEN_UP = Failure("its nameservers have not answered for a while, and are not asked just now")


def _load_zone(path: Path) -> Zone:
    try:
        return parse_zone(path.read_text("utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ZoneError(f"{path}: {error}") from error


def _key(name: str, rdtype: str) -> Key:
    if rdtype not in RDTYPES:
        raise ValueError(f"{rdtype!r} is not a record type that Gatepost asks for")
    return canonical(name), rdtype


def _answer(key: Key, outcome: Outcome) -> Answer:
    if isinstance(outcome, Failure):
        raise DnsTemporary(*key, outcome.cause)
    return outcome
