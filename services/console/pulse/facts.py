"""What is known of the gateway at one moment (PURE).

Owns: the values that the overview shows and the alerts are judged by. None and empty say: not known, or not asked.
Times are Unix seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.console.doctor.finding import Finding


@dataclass(frozen=True, slots=True)
class Readiness:
    """A service's answer to /readyz. said: its own words, or why it could not be asked.

    policy_version: which it runs, where it tells. policy_refused: a newer one that it could not use, or 0.
    """

    service: str
    url: str
    ready: bool
    said: str
    policy_version: int | None = None
    policy_refused: int = 0


@dataclass(frozen=True, slots=True)
class Depth:
    """A queue: how many wait, how many are in work, how many consumers; per minute how many came and were done.

    members, online: the nodes that keep it, and those of them that live; 0 where the broker does not tell.
    """

    queue: str
    ready: int
    unacked: int
    consumers: int
    octets: int
    came_per_min: float | None = None
    done_per_min: float | None = None
    members: int = 0
    online: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the broker."""

    name: str
    running: bool
    memory_alarm: bool
    disk_alarm: bool
    memory_bytes: int
    memory_limit_bytes: int
    disk_free_bytes: int
    disk_limit_bytes: int


@dataclass(frozen=True, slots=True)
class Broker:
    """RabbitMQ as its management API tells."""

    version: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that content asks. signatures_at: when ClamAV's signatures were made."""

    kind: str
    address: str
    well: bool
    said: str
    mend: str = ""
    signatures_at: float | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """What the services count at this moment, by their metrics; None: that service does not tell."""

    sessions: int | None = None
    waiting_for_verdict: int | None = None
    content_processes: int | None = None
    under_way: int | None = None
    clamds_well: int | None = None
    tarpitted: int | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages of the last minute, by the trace. refused, deferred: sessions, commands and messages, in edge."""

    received: int = 0
    judged: int = 0
    delivered: int = 0
    refused: int = 0
    deferred: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of mail, in steps of time. counts: per step, by state (services.console.rows.State)."""

    since: float
    step_s: float
    counts: tuple[Mapping[str, int], ...]

    @property
    def total(self) -> dict[str, int]:
        """All steps together, by state in the order of the alphabet."""
        states = sorted({state for step in self.counts for state in step})
        return {state: sum(step.get(state, 0) for step in self.counts) for state in states}


@dataclass(frozen=True, slots=True)
class PolicyNow:
    """The newest version of the history. confirm_by: when it goes back by itself; None: it stays."""

    version: int
    author: str
    at: float
    confirm_by: float | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate in use. where: its file. ends_at: None where it cannot be read; problem says why."""

    where: str
    ends_at: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of a path on the console's host."""

    path: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class MissingKey:
    """A DKIM key that signs although DNS does not have its record."""

    domain: str
    selector: str
    state: str


@dataclass(frozen=True, slots=True)
class Skew:
    """A host whose clock is off. ahead_s: against other; negative: behind."""

    host: str
    other: str
    ahead_s: float


@dataclass(frozen=True, slots=True)
class Growth:
    """A queue that gets longer and longer. over_s: in which time."""

    queue: str
    before: int
    now: int
    over_s: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What changes slowly and costs more to ask. skews: by the trace; clocks: as the doctor sees them."""

    at: float
    engines: tuple[Engine, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    disks: tuple[Disk, ...] = ()
    missing_keys: tuple[MissingKey, ...] = ()
    skews: tuple[Skew, ...] = ()
    clocks: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture. oldest: id, state and first_seen of what has waited longest. outcomes: of the last 24 h.

    held, poison: in quarantine, and those of them that a stage died of. oldest_in_delivery: first_seen of what has
    waited longest for a next hop. surroundings: None until they were asked the first time.
    """

    services: tuple[Readiness, ...]
    queues: tuple[Depth, ...]
    queues_problem: str | None
    outcomes: dict[str, int]
    oldest: tuple[str, str, float] | None
    held: int
    database_problem: str | None
    at: float = 0.0
    day: Outcomes | None = None
    rates: Rates = Rates()
    live: Live = Live()
    broker: Broker | None = None
    database: str = ""
    waiting: int = 0
    poison: int = 0
    policy: PolicyNow | None = None
    growing: tuple[Growth, ...] = ()
    surroundings: Surroundings | None = None

    @property
    def is_well(self) -> bool:
        """Whether every service is ready and nothing kept us from asking."""
        return all(one.ready for one in self.services) and not self.queues_problem and not self.database_problem
