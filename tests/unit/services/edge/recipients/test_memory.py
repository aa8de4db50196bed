"""What is remembered of recipients, for how long, and what goes first."""

import pytest

from services.edge.decide.recipient import Known
from services.edge.recipients.memory import Kept, Memory

KEPT = Kept(yes_s=100, fresh_s=10, no_s=5, unsure_s=1)


@pytest.fixture
def memory() -> Memory:
    return Memory(KEPT, max_known=2, max_others=2)


@pytest.mark.parametrize("known, kept_s", [(Known.YES, 100), (Known.NO, 5), (Known.UNSURE, 1)])
def test_each_answer_is_kept_for_its_time(memory: Memory, known: Known, kept_s: float) -> None:
    memory.note("a@x", known, 0)
    assert memory.recall("a@x", kept_s - 0.1) is known
    assert memory.recall("a@x", kept_s) is None


def test_a_known_recipient_becomes_stale_and_serves_on(memory: Memory) -> None:
    memory.note("a@x", Known.YES, 0)
    assert not memory.is_stale("a@x", 9)
    assert memory.is_stale("a@x", 10)
    assert memory.recall("a@x", 10) is Known.YES


def test_unsure_never_takes_the_place_of_yes(memory: Memory) -> None:
    memory.note("a@x", Known.YES, 0)
    memory.note("a@x", Known.UNSURE, 20)
    assert memory.recall("a@x", 20) is Known.YES
    # It is not asked for again at once.
    assert not memory.is_stale("a@x", 20.5)
    assert memory.is_stale("a@x", 21)
    assert memory.recall("a@x", 100) is None


def test_a_recipient_that_left_is_refused_from_then_on(memory: Memory) -> None:
    memory.note("a@x", Known.YES, 0)
    memory.note("a@x", Known.NO, 20)
    assert memory.recall("a@x", 21) is Known.NO
    memory.note("a@x", Known.YES, 22)
    assert memory.recall("a@x", 23) is Known.YES


def test_the_recipient_least_asked_for_goes_first(memory: Memory) -> None:
    memory.note("a@x", Known.YES, 0)
    memory.note("b@x", Known.YES, 0)
    memory.recall("a@x", 1)
    memory.note("c@x", Known.YES, 2)
    assert [memory.recall(f"{name}@x", 3) for name in "abc"] == [Known.YES, None, Known.YES]


def test_guessing_pushes_out_no_known_recipient(memory: Memory) -> None:
    memory.note("a@x", Known.YES, 0)
    for number in range(100):
        memory.note(f"{number}@x", Known.NO, 0)
    assert memory.recall("a@x", 1) is Known.YES
    assert len(memory) == 3


def test_refusals_can_be_forgotten(memory: Memory) -> None:
    memory.note("a@x", Known.YES, 0)
    memory.note("b@x", Known.NO, 0)
    memory.forget_refused()
    assert memory.recall("a@x", 1) is Known.YES
    assert memory.recall("b@x", 1) is None
