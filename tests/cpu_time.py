"""What something costs, whatever else runs: for rules about algorithms, not about machines."""

import time
from collections.abc import Callable


def least_cpu_s(action: Callable[[], object], tries: int = 3) -> float:
    """Return the least processor time of this thread that an action took in several tries.

    What others add, a collection of garbage or the caches of a busy machine, adds to one try and not to each.
    """
    times = []
    for _ in range(tries):
        began = time.thread_time()
        action()
        times.append(time.thread_time() - began)
    return min(times)
