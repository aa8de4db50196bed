"""Rules of when a report on TLS goes (RFC 8460 §4.1, §5.5)."""

import pytest

from services.console.tls_reports.when import GIVE_UP_S, first_try_at, next_try_at
from shared.dmarc_seen import DAY_S

DAY = 20_000
OVER = (DAY + 1) * DAY_S


def test_reports_are_spread_over_the_hours_after_the_day() -> None:
    times = [first_try_at(DAY, f"{number}.test", "mx.gatepost.test") for number in range(500)]
    assert all(OVER + 3600 <= at <= OVER + 4 * 3600 for at in times)
    assert max(times) - min(times) > 2 * 3600
    assert times[0] == first_try_at(DAY, "0.test", "mx.gatepost.test"), "but each at its own time, whoever asks"


@pytest.mark.parametrize(
    ("waited_s", "pause_s"),
    [(0, 900), (900, 900), (1800, 1800), (7200, 7200), (43_200, 14_400), (GIVE_UP_S, None), (200_000, None)],
)
def test_pauses_grow_until_a_day_is_over(waited_s: float, pause_s: float | None) -> None:
    assert next_try_at(OVER, OVER + waited_s) == (None if pause_s is None else OVER + waited_s + pause_s)
