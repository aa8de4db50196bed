"""What is done with is remembered for the redelivery, and for nothing else."""

from services.delivery.outcome import Attempt
from services.delivery.unacked import _KEPT_S, _LIMIT, Unacked


class Clock:
    """A clock that is turned by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_redelivered_message_is_recalled_once() -> None:
    unacked = Unacked(Clock())
    attempt = Attempt(())
    unacked.remember("a", attempt)
    achieved = unacked.recall("a", redelivered=True)
    assert achieved is not None
    assert achieved.attempt is attempt
    assert unacked.recall("a", redelivered=True) is None


def test_a_message_published_anew_is_not_recalled() -> None:
    unacked = Unacked(Clock())
    unacked.remember("a", None)
    assert unacked.recall("a", redelivered=False) is None
    assert unacked.recall("a", redelivered=True) is not None


def test_nothing_is_remembered_for_long() -> None:
    clock = Clock()
    unacked = Unacked(clock)
    unacked.remember("a", None)
    clock.now += _KEPT_S + 1
    assert unacked.recall("a", redelivered=True) is None


def test_the_oldest_is_forgotten_first() -> None:
    unacked = Unacked(Clock())
    for n in range(_LIMIT + 1):
        unacked.remember(str(n), None)
    assert unacked.recall("0", redelivered=True) is None
    assert unacked.recall("1", redelivered=True) is not None
