"""PURE. Owns the words and tables of `docs/performance.md` that `make bench` and `make bench-outward` write.

Input: the runs of all rounds and what is known of the machine. Output: Markdown, and the document with it in place.
On failure: ValueError for a document without the markers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

BEGIN, END = "<!-- {name}: begin -->", "<!-- {name}: end -->"
# Part of the measuring, not of what is measured.
BENCH_ROLES = frozenset({"generator", "sink"})


@dataclass(frozen=True, slots=True)
class Case:
    """One way of sending. kept: many messages per connection, else a new connection for each; None: from a queue."""

    size_bytes: int
    kept: bool | None = None

    @property
    def title(self) -> str:
        """Its column in the tables."""
        size = size_words(self.size_bytes)
        if self.kept is None:
            return size
        return f"{size}, {'kept connections' if self.kept else 'a connection each'}"


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement. cpu_s: by role. other_load: share of all CPUs that neither the peer nor the bench used."""

    round: int
    peer: str
    case: Case
    messages: int
    seconds: float
    cpu_s: Mapping[str, float]
    other_load: float

    @property
    def rate(self) -> float:
        """Messages per second, until the sink has counted the last message."""
        return self.messages / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU per message of everything but the bench itself."""
        return self.role_ms(*(role for role in self.cpu_s if role not in BENCH_ROLES))

    def role_ms(self, *roles: str) -> float:
        """CPU per message of some roles."""
        return sum(self.cpu_s.get(role, 0.0) for role in roles) / self.messages * 1000


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reader needs to judge the figures. load: how much was sent, and how often; audits: what each peer's own
    records say, by title.
    """

    date: str
    machine: str
    versions: Mapping[str, str]
    load: str
    audits: Mapping[str, str]


def render(runs: Sequence[Run], facts: Facts) -> str:
    """Return the generated part: facts, rates, CPU, ratios."""
    peers = list(dict.fromkeys(run.peer for run in runs))
    cases = list(dict.fromkeys(run.case for run in runs))
    parts = [_facts(runs, facts), _rates(runs, peers, cases), _cpu(runs, peers, cases)]
    if len(peers) > 1:
        parts.append(_ratios(runs, peers, cases))
    return "\n\n".join(parts)


def place(document: str, generated: str, name: str) -> str:
    """Return the document with the generated part between the markers of a name."""
    first, last = BEGIN.format(name=name), END.format(name=name)
    before, begin, rest = document.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the document lacks {first} or {last}")
    return f"{before}{first}\n\n{generated}\n\n{last}{after}"


def size_words(size_bytes: int) -> str:
    """Return a size of message as it stands in the tables."""
    return f"{size_bytes / 1000:.0f} kB"


def count_words(counts: Mapping[int, int]) -> str:
    """Return how many messages of which size were sent. counts: by size in octets."""
    return " and ".join(f"{messages} messages of {size_words(size)}" for size, messages in counts.items())


def _facts(runs: Sequence[Run], facts: Facts) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    loads = [run.other_load for run in runs]
    lines = [
        f"- Date: {facts.date}",
        f"- Machine: {facts.machine}",
        f"- Versions: {versions}",
        f"- {facts.load}",
        f"- All else on the machine (the peers at rest too, and what a hypervisor took) used {median(loads):.0%} of its CPUs; at most {max(loads):.0%}",
    ]
    lines += [f"- Checked, {peer}: {words}" for peer, words in facts.audits.items()]
    return "\n".join(lines)


def _rates(runs: Sequence[Run], peers: Sequence[str], cases: Sequence[Case]) -> str:
    rows = [[peer, *(_spread(_figures(runs, peer, case, lambda run: run.rate)) for case in cases)] for peer in peers]
    return "**Messages per second**, median (lowest to highest)\n\n" + table(["", *_titles(cases)], rows)


def _cpu(runs: Sequence[Run], peers: Sequence[str], cases: Sequence[Case]) -> str:
    rows: list[list[str]] = []
    for peer in peers:
        figures = [f"**{median(_figures(runs, peer, case, lambda run: run.cpu_ms)):.2f}**" for case in cases]
        rows.append([f"**{peer}**", *figures])
        rows += [
            [_role_title(role), *(f"{_role_median(runs, peer, case, role):.2f}" for case in cases)]
            for role in dict.fromkeys(role for run in runs if run.peer == peer for role in run.cpu_s if run.cpu_s[role])
        ]
    return "**CPU per message, ms**, median, by process with all its children\n\n" + table(["", *_titles(cases)], rows)


def _ratios(runs: Sequence[Run], peers: Sequence[str], cases: Sequence[Case]) -> str:
    measures: list[tuple[str, Callable[[Run], float]]] = [
        ("messages per second", lambda run: run.rate),
        ("CPU per message", lambda run: run.cpu_ms),
    ]
    rows: list[list[str]] = []
    for at, peer in enumerate(peers):
        for other in reversed(peers[:at]):
            for what, figure in measures:
                pairs = [(_figures(runs, peer, case, figure), _figures(runs, other, case, figure)) for case in cases]
                rows.append([f"{peer} : {other}, {what}", *(f"{_ratio(ours, theirs):.2f}" for ours, theirs in pairs)])
    return "**Ratios**, median of the rounds' own ratios\n\n" + table(["", *_titles(cases)], rows)


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    # Round by round: what slowed the machine for a while slowed both.
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def _figures(runs: Sequence[Run], peer: str, case: Case, figure: Callable[[Run], float]) -> list[float]:
    chosen = sorted((run for run in runs if run.peer == peer and run.case == case), key=lambda run: run.round)
    return [figure(run) for run in chosen]


def _role_median(runs: Sequence[Run], peer: str, case: Case, role: str) -> float:
    return median(_figures(runs, peer, case, lambda run: run.role_ms(role)))


def _role_title(role: str) -> str:
    return f"· {role} (not in the sum)" if role in BENCH_ROLES else f"· {role}"


def _spread(figures: Sequence[float]) -> str:
    return f"{median(figures):.0f} ({min(figures):.0f}–{max(figures):.0f})"


def _titles(cases: Sequence[Case]) -> list[str]:
    return [case.title for case in cases]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is words and whose others are figures."""
    rule = ["---", *("--:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])
