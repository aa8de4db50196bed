"""Rules of what a report on TLS holds: each policy apart, every session counted once (RFC 8460 §4.2, §4.4)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.tls_reports.aggregate import MAX_DETAILS, MAX_POLICIES, Aggregate, PolicyResults
from shared.tls_seen import PolicyType, TlsPolicy, TlsResult, TlsSeen

STS = TlsPolicy(
    PolicyType.STS, ("version: STSv1", "mode: testing", "mx: *.bank.test", "max_age: 86400"), ("*.bank.test",)
)
DANE = TlsPolicy(PolicyType.TLSA, ("3 1 1 " + "ab" * 32,), domain="mx1.bank.test")
GOOD = TlsSeen("bank.test", STS, TlsResult.SUCCESS, "mx1.bank.test", "192.0.2.1", "198.51.100.7")
BAD = replace(GOOD, result=TlsResult.EXPIRED, reason="the certificate is not valid now")


def aggregated(*seen: tuple[TlsSeen, int]) -> tuple[PolicyResults, ...]:
    found = Aggregate()
    for one, count in seen:
        found.add(one, count)
    return found.results()


Row = tuple[str, int, list[int]]


@pytest.mark.parametrize(
    ("seen", "rows"),
    [
        ([(GOOD, 3)], [("bank.test", 3, [])]),
        ([(GOOD, 3), (replace(GOOD, mx_host="mx2.bank.test"), 2)], [("bank.test", 5, [])]),
        ([(GOOD, 1), (BAD, 2), (BAD, 5)], [("bank.test", 1, [7])]),
        # The most frequent first, and each host, address and reason apart.
        ([(BAD, 1), (replace(BAD, receiver_ip="198.51.100.8"), 4)], [("bank.test", 0, [4, 1])]),
        ([(BAD, 1), (replace(BAD, reason="another"), 1)], [("bank.test", 0, [1, 1])]),
        # A policy that changed during the day is two.
        ([(GOOD, 1), (replace(GOOD, policy=TlsPolicy()), 2)], [("bank.test", 1, []), ("bank.test", 2, [])]),
        # A policy of DANE is that of the name at which its records stand, whatever the MX is called.
        (
            [(replace(GOOD, policy=DANE), 1), (replace(GOOD, policy=DANE, mx_host="alias.bank.test"), 2)],
            [("mx1.bank.test", 3, [])],
        ),
        (
            [(replace(GOOD, policy=DANE), 1), (replace(GOOD, policy=replace(DANE, domain="mx2.bank.test")), 2)],
            [("mx1.bank.test", 1, []), ("mx2.bank.test", 2, [])],
        ),
        ([], []),
    ],
)
def test_sessions_are_counted_by_policy_and_failure(seen: list[tuple[TlsSeen, int]], rows: list[Row]) -> None:
    found = aggregated(*seen)
    assert [(one.domain, one.successes, [count for _, count in one.failures]) for one in found] == rows


def test_what_is_beyond_the_bounds_is_still_counted() -> None:
    many = [(replace(BAD, reason=str(number)), 2) for number in range(MAX_DETAILS + 100)]
    [found] = aggregated(*many)
    assert found.failed == 2 * (MAX_DETAILS + 100)
    assert len(found.failures) == MAX_DETAILS + 1
    assert found.failures[0][1] == 200, "those without details are one entry"


def test_policies_beyond_the_bound_share_one_place() -> None:
    changed = [replace(GOOD, policy=replace(STS, strings=(str(number),))) for number in range(MAX_POLICIES + 10)]
    found = aggregated(*((seen, 1) for seen in changed))
    assert len(found) == MAX_POLICIES + 1
    assert (found[-1].policy, found[-1].successes) == (TlsPolicy(PolicyType.STS), 10)


SEEN = st.builds(
    TlsSeen,
    domain=st.just("bank.test"),
    policy=st.sampled_from([STS, DANE, TlsPolicy()]),
    result=st.sampled_from(TlsResult),
    mx_host=st.sampled_from(["mx1.bank.test", "mx2.bank.test", ""]),
    receiver_ip=st.sampled_from(["198.51.100.7", ""]),
    reason=st.sampled_from(["", "why"]),
)


@given(st.lists(st.tuples(SEEN, st.integers(1, 9))))
def test_no_session_is_lost_or_counted_twice(seen: list[tuple[TlsSeen, int]]) -> None:
    found = aggregated(*seen)
    good = sum(count for one, count in seen if one.result is TlsResult.SUCCESS)
    assert sum(one.successes for one in found) == good
    assert sum(one.failed for one in found) == sum(count for _, count in seen) - good
