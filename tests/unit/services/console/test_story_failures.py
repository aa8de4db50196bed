"""Every class of failure that delivery tells has words in the trace."""

import pytest

from services.console.story.reasons import BOUNCES, PUT_OFF
from services.console.story.tell import tell
from services.console.story.told import Told
from services.delivery.classify import BounceClass, FailureClass


def _text(kind: str, **facts: object) -> str:
    return "\n".join(line.text for line in tell([Told("a1", 1_800_000_000.0, "delivery", "host1", kind, facts)]))


@pytest.mark.parametrize("failure", FailureClass)
def test_every_class_of_failure_has_words(failure: FailureClass) -> None:
    told = _text("retry", attempts=2, hop="mx:x.example", failure=failure.value, reason="451 no", not_before=1.0)
    assert failure.value in PUT_OFF
    assert f"Put off at mx:x.example (attempt 2 is made) ({failure.value}: " in told


@pytest.mark.parametrize("bounce", BounceClass)
def test_every_class_of_bounces_has_words(bounce: BounceClass) -> None:
    told = _text("failed", recipients=["b@x.example"], reply="550 no", reason="refused for good", bounce=bounce.value)
    assert bounce.value in BOUNCES
    assert f"({bounce.value})." in told


def test_a_class_of_a_later_version_is_shown_as_it_is() -> None:
    assert "(quantum)" in _text("retry", failure="quantum", reason="451 no")
    assert "That is: quantum." in _text("failed", reply="550 no", bounce="quantum")
