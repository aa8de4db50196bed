"""Which DNS lists may be believed now (I/O: probes them in the background).

Owns: the state of each list. A list counts once its probe has succeeded; one that fails it, whose probe cannot be done,
or that lists everything, stands aside until a later probe succeeds. That nearly all clients are listed is only a
suspicion, for a crowd of listed hosts must not be able to switch a good list off: addresses drawn at random decide.
Output: `is_up`, a metric, a log line for each change, and a callback.
On failure: nothing is refused because a list is broken.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from prometheus_client import Gauge

from services.edge.lookups.hit_window import HitWindow
from services.edge.lookups.list_probe import ProbeResolver, lists_everything, probe
from shared.dns.answer import DnsTemporary
from shared.policy.names import DnsList, DnsListRules
from shared.policy.table import IpAddress

_log = structlog.get_logger()
_UP = Gauge(
    "gatepost_edge_dns_list_up",
    "Whether a DNS list is alive and counts (1) or stands aside (0)",
    ["zone"],
    multiprocess_mode="livemin",
)
# DNS that failed is tried again sooner than a list that is known to be broken.
UNSURE_RETRY_S = 30.0
_NOT_PROBED = "not probed yet"

# Is told the zone and why the list stands aside; the cause is empty where it counts again.
OnChange = Callable[[str, str], None]


@dataclass(slots=True)
class _State:
    """One list. cause: why it stands aside, empty while it counts. due_s: when it is to be probed.

    suspect_4, suspect_6: whether it seems to list every address of that family.
    """

    rules: DnsList
    cause: str = _NOT_PROBED
    due_s: float = 0.0
    suspect_4: bool = False
    suspect_6: bool = False
    window: HitWindow = field(default_factory=HitWindow)


class ListHealth:
    """The health of all lists of the policy in force. on_change: is told when a list goes off or on."""

    def __init__(
        self, resolver: ProbeResolver, *, on_change: OnChange | None = None, unsure_retry_s: float = UNSURE_RETRY_S
    ) -> None:
        self._resolver = resolver
        self._on_change = on_change
        self._unsure_retry_s = unsure_retry_s
        self._rules = DnsListRules()
        self._states: dict[str, _State] = {}
        self._wake = asyncio.Event()
        self._probing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to probe in the background."""
        self._probing = asyncio.get_running_loop().create_task(self._probe_for_ever())

    async def close(self) -> None:
        """End probing."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    def follow(self, rules: DnsListRules) -> None:
        """Take the lists of a policy: what is new or changed is probed at once."""
        self._rules = rules
        before, self._states = self._states, {}
        for one in rules.lists:
            state = before.pop(one.zone, None)
            if state is None or state.rules != one:
                state = _State(one)
                if not one.probe:
                    state.cause, state.due_s = "", math.inf
            elif not math.isinf(state.due_s):
                state.due_s = min(state.due_s, _now() + rules.probe_interval_s)
            self._states[one.zone] = state
            _UP.labels(one.zone).set(not state.cause)
        for zone in before:
            _UP.remove(zone)
        self._wake.set()

    def is_up(self, zone: str) -> bool:
        """Whether the list counts now."""
        state = self._states.get(zone)
        return state is not None and not state.cause

    def note(self, zone: str, client: IpAddress, *, listed: bool) -> None:
        """Take in what a list says of a client."""
        state = self._states.get(zone)
        if state is None or state.cause or self._rules.max_hit_share >= 1:
            return
        state.window.note(str(client), listed=listed)
        if state.window.exceeds(self._rules.max_hit_share):
            state.window = HitWindow()
            state.suspect_4 |= client.version == 4
            state.suspect_6 |= client.version == 6
            state.due_s = 0.0
            self._wake.set()

    async def probe_due(self) -> None:
        """Probe each list whose time has come."""
        now = _now()
        await asyncio.gather(*(self._probe(state) for state in list(self._states.values()) if state.due_s <= now))

    async def _probe_for_ever(self) -> None:
        while True:
            self._wake.clear()
            await self.probe_due()
            next_s = min((state.due_s for state in self._states.values()), default=math.inf)
            try:
                async with asyncio.timeout_at(None if math.isinf(next_s) else next_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _probe(self, state: _State) -> None:
        wait_s = self._rules.probe_interval_s
        try:
            cause = await self._examine(state)
        except DnsTemporary:
            cause, wait_s = "DNS gave no answer to its probe", min(wait_s, self._unsure_retry_s)
        except Exception:  # a defect here must not end the probing of all lists
            _log.exception("dns-list-probe-failed", zone=state.rules.zone)
            cause = "its probe failed"
        # A policy may have come meanwhile, with another idea of this list.
        if self._states.get(state.rules.zone) is state:
            state.due_s = _now() + wait_s if state.rules.probe or cause else math.inf
            self._switch(state, cause)

    async def _examine(self, state: _State) -> str:
        """Return what is wrong with the list, empty if nothing is. Raises DnsTemporary."""
        if state.rules.probe and (cause := await probe(self._resolver, state.rules)):
            return cause
        for suspected, ipv6 in ((state.suspect_4, False), (state.suspect_6, True)):
            if suspected and await lists_everything(self._resolver, state.rules, ipv6=ipv6):
                return "it lists every address, whichever it is asked about"
        state.suspect_4 = state.suspect_6 = False
        return ""

    def _switch(self, state: _State, cause: str) -> None:
        if cause == state.cause:
            return
        zone, state.cause = state.rules.zone, cause
        _UP.labels(zone).set(not cause)
        if cause:
            _log.warning("dns-list-off", zone=zone, cause=cause)
        else:
            _log.info("dns-list-on", zone=zone)
        if self._on_change is not None:
            self._on_change(zone, cause)


def _now() -> float:
    return asyncio.get_running_loop().time()
