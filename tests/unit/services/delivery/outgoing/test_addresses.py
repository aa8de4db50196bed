"""Addresses are changed where they stand; everything else of a field stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.outgoing.addresses import rewrite_addresses
from shared.address import Address


def to_other(address: Address) -> str | None:
    return f"{address.local_part}@new.test" if address.domain == "old.test" else None


@pytest.mark.parametrize(
    ("value", "after"),
    [
        (b" a@old.test\r\n", b" a@new.test\r\n"),
        (b" A <a@OLD.test>\r\n", b" A <a@new.test>\r\n"),
        (b' "a@old.test" <a@old.test>', b' "a@old.test" <a@new.test>'),
        (b' "O, \\"x\\" @" (a@old.test) <a@old.test> (c)', b' "O, \\"x\\" @" (a@old.test) <a@new.test> (c)'),
        (b" a@old.test, B <b@else.test>,\r\n c@old.test", b" a@new.test, B <b@else.test>,\r\n c@new.test"),
        (b" Team: a@old.test, b@old.test;", b" Team: a@new.test, b@new.test;"),
        (b" =?utf-8?q?J=C3=B6?= <j@old.test>", b" =?utf-8?q?J=C3=B6?= <j@new.test>"),
        (" J\u00f6 <j\u00f6@old.test>".encode(), " J\u00f6 <j\u00f6@new.test>".encode()),
        (b" J\xf6 <j@old.test>", b" J\xf6 <j@new.test>"),
        (b' <"a b"@old.test>', b' <"a b"@new.test>'),
        (b" undisclosed-recipients:;", b" undisclosed-recipients:;"),
        (b" a@[192.0.2.1]", b" a@[192.0.2.1]"),
    ],
)
def test_addresses_change_and_nothing_else(value: bytes, after: bytes) -> None:
    assert rewrite_addresses(value, to_other) == after


@pytest.mark.parametrize(
    "value",
    [
        b' "open <a@old.test>',
        b" (open <a@old.test>",
        b" <a@old.test",
        b" a@old.test>",
        b" <a@old.test b>",
        b" a b@old.test",
        b" a @old.test",
        b" a@ old.test",
        b" a(c)@old.test",
        b" <@relay.test:a@old.test>",
        b" a@b@old.test",
        b" =?utf-8?q?a?=@old.test",
        b" a@old..test",
        b" a@-old.test",
        b" @old.test",
        b" a@",
        b" a\\@old.test",
        b" a@old.test," * 1001,
        b" " * 70_000,
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        rewrite_addresses(value, to_other)


PIECES = st.lists(
    st.sampled_from(
        [
            b"a@old.test",
            b"<",
            b">",
            b",",
            b";",
            b":",
            b'"',
            b"(",
            b")",
            b"\\",
            b" ",
            b"\r\n ",
            b"@",
            b"\xff",
            b"[",
            b"x",
        ]
    ),
    max_size=20,
).map(b"".join)


@given(PIECES)
def test_to_change_nothing_gives_the_same_octets(value: bytes) -> None:
    try:
        assert rewrite_addresses(value, lambda _: None) == value
        assert rewrite_addresses(value, str) == value
    except ValueError:
        pass


@given(PIECES)
def test_twice_is_once(value: bytes) -> None:
    try:
        once = rewrite_addresses(value, to_other)
    except ValueError:
        return
    assert rewrite_addresses(once, to_other) == once
