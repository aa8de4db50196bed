"""From what a day's sessions with one domain showed to what its report holds (PURE).

Standards: RFC 8460 §4.2 (counts), §4.3 (result types), §4.4.
Whatever is beyond the bounds is counted all the same, with less detail: the sums are always right.
"""

from collections import Counter
from dataclasses import dataclass, field

from shared.tls_seen import TlsPolicy, TlsResult, TlsSeen

MAX_POLICIES = 50
MAX_DETAILS = 5_000
_REASON_LIMIT = 300
_LEFT_OUT = "further failures, of other hosts or for other reasons"


@dataclass(frozen=True, slots=True)
class Failure:
    """One kind of failed sessions. reason: for people."""

    result: TlsResult
    sender_ip: str = ""
    mx_host: str = ""
    receiver_ip: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PolicyResults:
    """What came of one policy. domain: that the policy is of. failures: with how often, the most frequent first."""

    policy: TlsPolicy
    domain: str
    successes: int
    failures: tuple[tuple[Failure, int], ...]

    @property
    def failed(self) -> int:
        """How many sessions failed."""
        return sum(count for _, count in self.failures)


@dataclass(slots=True)
class _Counts:
    successes: int = 0
    failures: Counter[Failure] = field(default_factory=Counter)


class Aggregate:
    """The sessions of one domain's day, taken one after another."""

    def __init__(self) -> None:
        self._counts: dict[tuple[TlsPolicy, str], _Counts] = {}
        self._details = 0

    def add(self, seen: TlsSeen, count: int) -> None:
        """Take what so many sessions showed."""
        counts = self._counts_of(seen)
        if seen.result is TlsResult.SUCCESS:
            counts.successes += count
            return
        failure = Failure(seen.result, seen.sender_ip, seen.mx_host, seen.receiver_ip, seen.reason[:_REASON_LIMIT])
        if failure not in counts.failures:
            if self._details >= MAX_DETAILS:
                failure = Failure(seen.result, reason=_LEFT_OUT)
            else:
                self._details += 1
        counts.failures[failure] += count

    def results(self) -> tuple[PolicyResults, ...]:
        """Return what there is to report."""
        return tuple(
            PolicyResults(policy, domain, counts.successes, tuple(counts.failures.most_common()))
            for (policy, domain), counts in self._counts.items()
        )

    def _counts_of(self, seen: TlsSeen) -> _Counts:
        policy = seen.policy
        # RFC 8460 §1.1: the policy domain of DANE is the name that the records stand at, of MTA-STS the recipients'.
        key = (policy, policy.domain or seen.domain)
        if key not in self._counts and len(self._counts) >= MAX_POLICIES:
            key = (TlsPolicy(policy.kind), seen.domain)
        return self._counts.setdefault(key, _Counts())
