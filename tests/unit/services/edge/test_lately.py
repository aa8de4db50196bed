"""What was done lately is known until its time, and within a bound."""

from services.edge.lately import Lately


def test_a_key_is_known_until_its_time() -> None:
    lately = Lately(10)
    lately.note("a", False, until=5)
    assert lately.get("a", 4.9) is False
    assert lately.get("a", 5) is None
    assert lately.get("b", 0) is None


def test_what_was_noted_last_holds() -> None:
    lately = Lately(10)
    lately.note("a", False, until=5)
    lately.note("a", True, until=9)
    assert lately.get("a", 6) is True
    lately.forget("a")
    assert lately.get("a", 6) is None


def test_what_was_noted_first_goes_first() -> None:
    lately = Lately(3)
    for key in "abacd":
        lately.note(key, True, until=9)
    assert [key for key in "abcd" if lately.get(key, 0)] == ["a", "c", "d"]
    lately.clear()
    assert lately.get("a", 0) is None
