"""Which certificate answers for which name."""

import pytest

from services.edge.tls.names import Names

NAMES = Names([["mx.ours.test", "*.ours.test"], ["a.ours.test", "*.Other.Test"], ["*.ours.test", "mx.ours.test"]])


@pytest.mark.parametrize(
    "wanted, number",
    [
        ("mx.ours.test", 0),
        ("a.ours.test", 1),  # a full name goes before the default's wildcard
        ("b.ours.test", 0),  # of two with one name the first is taken
        ("MX.other.TEST", 1),
        ("mx.other.test.", 1),
        ("a.b.other.test", 0),  # a wildcard is one label
        ("other.test", 0),
        (".other.test", 1),
        ("", 0),
        ("unknown", 0),
        (None, 0),
    ],
)
def test_a_name_gets_the_certificate_that_has_it_else_the_default(wanted: str | None, number: int) -> None:
    assert NAMES.choose(wanted) == number


def test_a_wildcard_in_a_wanted_name_is_no_wildcard() -> None:
    assert Names([["x.test"], ["a.ours.test"]]).choose("*.ours.test") == 0
