"""Names: one spelling for the same name, and no question for what is no name."""

import pytest
from dns.name import Name
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answer import BadName
from shared.dns.names import canonical, within
from shared.dns.records import host, wire_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.test", "example.test"),
        ("EXAMPLE.Test.", "example.test"),
        ("_dmarc.Example.test", "_dmarc.example.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.test", "xn--bcher-kva.test"),
        ("_dmarc.bücher.test", "_dmarc.xn--bcher-kva.test"),
        ("faß.test", "xn--fa-hia.test"),
        ("bücher。test", "xn--bcher-kva.test"),
        ("user+tag=x.example.test", "user+tag=x.example.test"),
        ("two words.test", "two words.test"),
        ("a" * 63 + ".test", "a" * 63 + ".test"),
    ],
)
def test_a_name_has_one_spelling(name: str, expected: str) -> None:
    assert canonical(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".example.test",
        "example..test",
        "example.test..",
        "a" * 64 + ".test",
        ".".join(["a" * 62] * 5),
        "tab\t.test",
        "nul\0.test",
        "line\r\n.test",
        "back\\.slash.test",
        "del\x7f.test",
        "\u200d.test",
        "\ud800.test",
        "ü" * 60 + ".test",
    ],
)
def test_what_is_no_name_is_never_asked(name: str) -> None:
    with pytest.raises(BadName):
        canonical(name)


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_a_bad_name(text: str) -> None:
    try:
        name = canonical(text)
    except BadName:
        return
    assert canonical(name) == name
    assert name == name.lower()
    assert len(name) <= 253


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), min_size=1, max_size=80))
def test_a_canonical_name_fits_the_wire(text: str) -> None:
    try:
        name = canonical(text)
    except BadName:
        return
    assert len(wire_name(name).to_wire() or b"") == len(name) + 2
    assert host(wire_name(name)) == name


@pytest.mark.parametrize("label", [b"a.b", b"back\\slash", b"nul\0", b"\xe9"])
def test_an_odd_label_from_the_wire_is_no_name_that_is_asked(label: bytes) -> None:
    with pytest.raises(BadName):
        canonical(host(Name((label, b"test", b""))))


@pytest.mark.parametrize(
    ("name", "ancestor", "expected"),
    [
        ("example.test", "example.test", True),
        ("a.example.test", "example.test", True),
        ("badexample.test", "example.test", False),
        ("test", "example.test", False),
        ("example.test", "", True),
    ],
)
def test_within_goes_by_labels(name: str, ancestor: str, expected: bool) -> None:
    assert within(name, ancestor) is expected
