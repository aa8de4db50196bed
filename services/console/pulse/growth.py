"""Which queues get longer and longer (PURE).

Input: samples of all queues' lengths, the oldest first. A queue grows if it is longer now than at any earlier moment of
the last minutes, in each third of them longer than in the one before, and by enough to matter.
"""

from collections.abc import Collection, Mapping

from services.console.pulse.facts import Growth

WINDOW_S = 600.0
# Before so long nobody can tell.
_LEAST_S = 120.0
_LEAST_MORE = 200
_RETRY = ".retry."


def growing(samples: Collection[tuple[float, Mapping[str, int]]]) -> tuple[Growth, ...]:
    """Return the queues that grow. Retry queues do so by themselves while a hop is away, and are left out."""
    if not samples:
        return ()
    latest_at, latest = list(samples)[-1]
    recent = [(at, lengths) for at, lengths in samples if at >= latest_at - WINDOW_S]
    over_s = latest_at - recent[0][0]
    if over_s < _LEAST_S:
        return ()
    names = [name for name in latest if _RETRY not in name]
    found = (_growth(name, [lengths.get(name, 0) for _, lengths in recent], over_s) for name in names)
    return tuple(growth for growth in found if growth is not None)


def _growth(name: str, lengths: list[int], over_s: float) -> Growth | None:
    first, last = lengths[0], lengths[-1]
    third = max(len(lengths) // 3, 1)
    means = [sum(part) / len(part) for part in (lengths[:third], lengths[third:-third] or lengths, lengths[-third:])]
    if last - first < _LEAST_MORE or not means[0] < means[1] < means[2] or last < max(lengths):
        return None
    return Growth(name, first, last, over_s)
