"""Of the daemons that are well, the one with the least to do is asked first."""

from services.content.engines.rotation import Rotation


def test_the_least_loaded_comes_first_and_equals_take_turns() -> None:
    rotation = Rotation(["a", "b", "c"])
    load = {"a": 2, "b": 0, "c": 1}
    assert rotation.order(0, lambda address: load[address]) == ["b", "c", "a"]
    assert {rotation.order(0, lambda _: 0)[0] for _ in range(3)} == {"a", "b", "c"}


def test_one_that_failed_comes_last_however_little_it_has_to_do() -> None:
    rotation = Rotation(["a", "b"])
    rotation.failed("a", 0)
    assert rotation.well == 1
    assert rotation.order(0.5, lambda address: address == "b") == ["b", "a"]
    rotation.answered("a")
    assert rotation.well == 2
