"""How fast a message must come."""

import pytest

from services.edge.pace import Pace


@pytest.mark.parametrize(
    "octets, least_per_s, expected",
    [
        (0, 64, 130.0),
        (640, 64, 140.0),
        (64_000, 64, 700.0),
        (0, 0, 700.0),
    ],
)
def test_octets_earn_time_up_to_the_end(octets: int, least_per_s: int, expected: float) -> None:
    assert Pace(100.0, 700.0, least_per_s, octets=octets).until == expected


def test_one_octet_every_ten_seconds_does_not_last() -> None:
    pace, now = Pace(0.0, 600.0, 64), 0.0
    while now < pace.until:
        now += 10.0
        pace.octets += 1
    assert now <= 40.0
    assert now >= pace.slow_at


def test_a_modem_is_fast_enough() -> None:
    pace, now = Pace(0.0, 600.0, 64), 0.0
    while now < 590.0:
        now += 1.0
        pace.octets += 240
        assert now < pace.until
