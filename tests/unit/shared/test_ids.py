"""Rules of ids: UUIDv7 in Crockford's base32."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ids import id_time, make_id, new_id, parse_id

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
MOMENTS = st.integers(0, (1 << 48) - 1)
RANDOM = st.integers(0, (1 << 74) - 1)


def as_uuid(identifier: str) -> uuid.UUID:
    number = 0
    for char in identifier:
        number = number * 32 + ALPHABET.index(char)
    return uuid.UUID(int=number)


@settings(max_examples=60)
@given(MOMENTS, RANDOM)
def test_an_id_is_a_uuid_of_version_7_with_its_moment(unix_ms: int, random_bits: int) -> None:
    identifier = make_id(unix_ms, random_bits)
    found = as_uuid(identifier)
    assert (len(identifier), found.version, found.variant) == (26, 7, uuid.RFC_4122)
    assert found.int >> 80 == unix_ms
    assert (found.int >> 64 & 0xFFF) << 62 | found.int & ((1 << 62) - 1) == random_bits


def test_the_example_of_the_standard() -> None:
    # RFC 9562 appendix A.6.
    identifier = make_id(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F)
    assert str(as_uuid(identifier)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@settings(max_examples=60)
@given(MOMENTS, MOMENTS, RANDOM, RANDOM)
def test_ids_sort_by_time(one: int, other: int, bits: int, more_bits: int) -> None:
    if one < other:
        assert make_id(one, bits) < make_id(other, more_bits)


@pytest.mark.parametrize("unix_ms", [-1, 1 << 48])
def test_a_time_that_does_not_fit_is_refused(unix_ms: int) -> None:
    with pytest.raises(ValueError, match="time out of range"):
        make_id(unix_ms, 0)


def test_fresh_ids_differ() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


@settings(max_examples=60)
@given(MOMENTS, RANDOM)
def test_an_id_is_its_own_canonical_form_and_case_does_not_matter(unix_ms: int, random_bits: int) -> None:
    identifier = make_id(unix_ms, random_bits)
    assert parse_id(identifier) == identifier
    assert parse_id(f" {identifier.upper()}\n") == identifier


def test_look_alikes_are_read_as_crockford_says() -> None:
    assert parse_id("OIL" + "0" * 23) == "011" + "0" * 23


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "u" * 26, "8" + "0" * 25, "0" * 25 + "é", "0" * 25 + "\x00"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        parse_id(text)


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        found = parse_id(text)
    except ValueError:
        return
    assert parse_id(found) == found


@settings(max_examples=60)
@given(MOMENTS, RANDOM)
def test_an_id_tells_its_moment(unix_ms: int, random_bits: int) -> None:
    assert id_time(make_id(unix_ms, random_bits)) == unix_ms / 1000


@pytest.mark.parametrize("text", ["", "a1", "z" * 26, "0" * 26, "01hf7yat3v_zzvzzzzzzzzzzzz", make_id(5, 7).upper()])
def test_what_is_no_id_tells_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        id_time(text)
