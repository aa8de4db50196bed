"""Which names a certificate bears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.tls.names import bears, names_of, told
from tests.certificates import signed


@pytest.mark.parametrize(
    ("found", "wanted", "borne"),
    [
        ("mx.hop.test", "mx.hop.test", True),
        ("mx.hop.test", "MX.hop.TEST.", True),
        ("mx.hop.test", "hop.test", False),
        ("hop.test", "mx.hop.test", False),
        ("*.hop.test", "mx.hop.test", True),
        ("*.hop.test", "a.mx.hop.test", False),
        ("*.hop.test", "hop.test", False),
        ("*.hop.test", ".hop.test", False),
        ("m*.hop.test", "mx.hop.test", False),
        ("*", "mx", False),
        # A wildcard for a whole top-level domain is nobody's.
        ("*.test", "hop.test", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("*.0.2.1", "192.0.2.1", False),
    ],
)
def test_a_name_covers_itself_and_a_wildcard_one_label(found: str, wanted: str, borne: bool) -> None:
    assert bears([found], [wanted]) == borne


def test_one_of_several_names_will_do() -> None:
    assert bears(["a.test", "b.test"], ["x.test", "b.test"])
    assert not bears([], ["x.test"])
    assert not bears(["a.test"], [])


def test_names_are_those_of_the_extension_alone() -> None:
    assert names_of(signed("subject.test", "a.test", "*.B.test")[0]) == ("a.test", "*.b.test")
    assert names_of(signed("subject.test")[0]) == ()


def test_a_certificate_with_many_names_is_told_shortly() -> None:
    assert told(()) == "no name"
    assert told(tuple(f"{number}.test" for number in range(99))).endswith("4.test and 94 more")


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_it(found: str, wanted: str) -> None:
    assert bears([found], [wanted]) in (True, False)


def test_names_that_are_none_are_told_without_harm() -> None:
    # A certificate may hold anything in the place of a name, a hundred kilobytes of it.
    text = told(("\x1b[2J\r\nX: y", "x" * 100_000))
    assert text.isprintable()
    assert len(text) < 600
