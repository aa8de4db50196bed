"""Which events a listener wants."""

import pytest

from services.console.actions.desk import ActionError
from services.console.actions.live import Wanted
from services.console.story.told import Told
from shared.ids import new_id

ID = new_id()


def told(kind: str = "received", message_id: str = ID, **facts: object) -> Told:
    return Told(message_id, 1.0, "edge", "h", kind, facts)


def test_an_address_is_found_in_every_place_where_events_name_one() -> None:
    for facts in (
        {"sender": "Ann@A.test"}, {"recipients": ["x@b.test", "ann@a.test"]}, {"recipient": "ann@a.test"},
        {"login": "ann@a.test"}, {"to": "ann@a.test"},
    ):  # fmt: skip
        assert Wanted(address="ann@a.test").takes(told(**facts)), facts
        assert Wanted(domain="A.test").takes(told(**facts)), facts
        assert not Wanted(address="ben@a.test").takes(told(**facts)), facts
    assert Wanted(address="192.0.2.7").takes(told(client={"address": "192.0.2.7", "name": "x"}))
    assert not Wanted(domain="test").takes(told(sender="ann@a.test"))


def test_a_message_that_was_found_once_is_followed_to_its_end() -> None:
    wanted = Wanted(address="ann@a.test")
    assert not wanted.takes(told("delivered", hop="h"))
    assert wanted.takes(told(sender="ann@a.test"))
    assert wanted.takes(told("delivered", hop="h"))
    assert not wanted.takes(told("delivered", new_id(), hop="h"))


def test_kind_and_id_must_both_fit() -> None:
    assert Wanted(kind="received", id=ID.upper()).takes(told())
    assert not Wanted(kind="judged").takes(told())
    assert not Wanted(id=new_id()).takes(told())


@pytest.mark.parametrize(("domain", "message_id"), [("a b", ""), ("", "x")])
def test_what_is_no_domain_and_no_id_is_refused(domain: str, message_id: str) -> None:
    with pytest.raises(ActionError):
        Wanted(domain=domain, id=message_id)
