"""A story for somebody who is in charge of some domains."""

from typing import Any

import pytest

from services.console.story.told import Told
from services.console.story.within import concerns, within


def told(kind: str, id_: str = "m1", /, **facts: Any) -> Told:
    return Told(id_, 1.0, "edge", "h", kind, facts)


def covers(name: str) -> bool:
    return name.rpartition("@")[2] == "ours.example"


OURS, THEIRS = "a@ours.example", "b@theirs.example"


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ({"recipients": [OURS, THEIRS]}, {"recipients": [OURS]}),
        ({"recipients": f"{OURS}, {THEIRS}"}, {"recipients": OURS}),
        ({"outcomes": [{"recipient": OURS}, {"recipient": THEIRS}]}, {"outcomes": [{"recipient": OURS}]}),
        ({"recipients": [{"from": OURS, "to": [OURS]}, {"from": THEIRS}]}, {"recipients": [{"from": OURS, "to": [OURS]}]}),
        ({"verdicts": {"ours.example": {}, "theirs.example": {}}}, {"verdicts": {"ours.example": {}}}),
        ({"into": [{"id": "p1", "recipients": [OURS, THEIRS]}, {"id": "p2", "recipients": [THEIRS]}]},
         {"into": [{"id": "p1", "recipients": [OURS]}]}),
        ({"reply": "250"}, {"reply": "250"}),
    ],
)  # fmt: skip
def test_of_recipients_those_of_the_domains_are_left(facts: dict[str, Any], left: dict[str, Any]) -> None:
    found, _ = within([told("x", **facts)], covers)
    assert [event.facts for event in found] == [left]


@pytest.mark.parametrize(
    "facts",
    [
        {"recipients": [THEIRS]},
        {"recipient": THEIRS},
        {"outcomes": [{"recipient": THEIRS}]},
        {"into": [{"id": "p", "recipients": [THEIRS]}]},
        {"recipients": [{"from": THEIRS, "to": [OURS]}]},
    ],
)
def test_an_event_of_others_alone_is_left_out_and_that_is_said(facts: dict[str, Any]) -> None:
    assert within([told("x", **facts)], covers) == ([], True)


def test_what_a_hop_says_of_a_part_of_others_is_left_out_with_the_part() -> None:
    split = told("split", into=[{"id": "p1", "recipients": [OURS]}, {"id": "p2", "recipients": [THEIRS]}])
    mine, other = told("retry", "p1", reason="451 a"), told("retry", "p2", reason="451 b@theirs.example is full")
    found, leaves_out = within([split, mine, other], covers)
    assert (mine in found, other in found, leaves_out) == (True, False, True)


def test_who_logged_in_with_a_sender_of_the_domains_is_seen_whole() -> None:
    story = [told("received", sender=OURS, login="a", recipients=[THEIRS]), told("delivered", recipients=[THEIRS])]
    assert within(story, covers) == (story, False)
    # A sender's address alone may be anybody's claim.
    claimed = [told("received", sender=OURS, login=None, recipients=[OURS, THEIRS])]
    assert within(claimed, covers)[1]


def test_a_story_concerns_the_domains_of_its_sender_and_recipients() -> None:
    assert concerns([told("received", sender=OURS, recipients=[THEIRS])], covers)
    assert concerns([told("split", into=[{"id": "p", "recipients": [OURS]}])], covers)
    assert not concerns([told("received", sender="", recipients=[THEIRS]), told("answered", reply="250")], covers)
