"""The figures of a service's `/metrics` (PURE).

Input: the text as Prometheus takes it. Output: sums by name and label. What is not Gatepost's is left out, and so are
the buckets of histograms: they are many, and nothing here needs them.
On failure: lines that are no figures are passed over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_OURS = "gatepost_"
_LINES = 5_000
_LINE_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one service."""

    all: tuple[Measure, ...] = ()

    def named(self, name: str) -> list[Measure]:
        """Return the figures of a name, one per set of labels."""
        return [one for one in self.all if one.name == name]

    def total(self, name: str) -> int | None:
        """Return the sum over all labels, or None where the service has no such figure."""
        found = self.named(name)
        return round(sum(one.value for one in found)) if found else None


def read_measures(text: str) -> Measures:
    """Return the figures of a text."""
    return Measures(tuple(one for line in _lines(text) for one in _measures(line)))


def _lines(text: str) -> Iterator[str]:
    taken = 0
    for line in text.splitlines():
        if line.startswith(_OURS) and "_bucket{" not in line and len(line) <= _LINE_LENGTH:
            taken += 1
            if taken > _LINES:
                return
            yield line


def _measures(line: str) -> list[Measure]:
    try:
        families = list(text_string_to_metric_families(line + "\n"))
    except (ValueError, IndexError, KeyError):
        return []
    samples = (sample for family in families for sample in family.samples)
    # A figure that is no number (NaN) says nothing.
    return [Measure(one.name, one.labels, float(one.value)) for one in samples if one.value == one.value]
