"""Whether anybody can give a verdict."""

import pytest

from services.edge.heartbeats import Heartbeats


def test_after_six_seconds_of_silence_nobody_waits() -> None:
    beats = Heartbeats()
    assert not beats.worth_waiting(0)
    beats.heard(b'{"key": "c1", "at": 1}', 100)
    assert beats.worth_waiting(106)
    assert beats.alive(106) == 1
    assert not beats.worth_waiting(106.1)


def test_who_begins_to_listen_gives_content_the_time_to_be_heard() -> None:
    beats = Heartbeats()
    beats.listen(100)
    assert beats.worth_waiting(105)
    assert not beats.worth_waiting(107)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"key": 1}', b"\xff"])
def test_what_is_no_heartbeat_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        Heartbeats().heard(body, 0)


def test_dead_processes_are_forgotten() -> None:
    beats = Heartbeats()
    for number in range(5000):
        beats.heard(f'{{"key": "c{number}"}}'.encode(), number)
    assert len(beats._last) <= 1001
