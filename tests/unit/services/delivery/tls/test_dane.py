"""Which TLSA records count, and what they match."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.tls.dane import anchors, matches_leaf, told, usable
from shared.dns.answer import TLSA
from tests.certificates import der, signed

LEAF, AUTHORITY = der(signed("mx", "mx.test")), der(signed("an authority", authority=True))
SHA256, SHA512 = hashlib.sha256(LEAF).digest(), hashlib.sha512(LEAF).digest()


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        (TLSA(3, 0, 1, SHA256), True),
        (TLSA(3, 1, 1, SHA256), True),
        (TLSA(2, 0, 2, SHA512), True),
        (TLSA(3, 0, 0, LEAF), True),
        (TLSA(3, 1, 0, b"a key"), True),
        # RFC 7672 §3.1.3.
        (TLSA(0, 0, 1, SHA256), False),
        (TLSA(1, 0, 1, SHA256), False),
        (TLSA(4, 0, 1, SHA256), False),
        (TLSA(3, 2, 1, SHA256), False),
        (TLSA(3, 0, 3, SHA256), False),
        (TLSA(3, 0, 1, SHA512), False),
        (TLSA(3, 0, 2, SHA256), False),
        (TLSA(3, 0, 0, b"no certificate"), False),
        (TLSA(3, 1, 0, b""), False),
    ],
)
def test_records_that_a_client_may_go_by(record: TLSA, counts: bool) -> None:
    assert usable([record]) == ((record,) if counts else ())


def test_of_several_digests_the_strongest_counts_for_its_usage_and_selector() -> None:
    weak, strong, whole = TLSA(3, 0, 1, SHA256), TLSA(3, 0, 2, SHA512), TLSA(3, 0, 0, LEAF)
    of_the_key, of_an_authority = TLSA(3, 1, 1, SHA256), TLSA(2, 0, 1, SHA256)
    assert usable([weak, strong, whole, of_the_key, of_an_authority]) == (strong, whole, of_the_key, of_an_authority)


def test_only_ee_records_name_the_servers_own_certificate() -> None:
    assert matches_leaf([TLSA(3, 0, 1, SHA256)], LEAF)
    assert matches_leaf([TLSA(3, 0, 1, bytes(32)), TLSA(3, 0, 0, LEAF)], LEAF)
    assert not matches_leaf([TLSA(2, 0, 1, SHA256)], LEAF)
    assert not matches_leaf([TLSA(3, 0, 1, SHA256)], AUTHORITY)


def test_authorities_come_from_what_is_shown_behind_the_leaf_or_from_the_record() -> None:
    digest = TLSA(2, 0, 1, hashlib.sha256(AUTHORITY).digest())
    assert anchors([digest], [LEAF, AUTHORITY]) == [AUTHORITY]
    assert anchors([digest], [AUTHORITY]) == []
    assert anchors([TLSA(2, 0, 0, AUTHORITY)], [LEAF]) == [AUTHORITY]
    assert anchors([TLSA(3, 0, 0, AUTHORITY)], [LEAF, AUTHORITY]) == []


def test_a_record_is_told_as_zones_have_it() -> None:
    assert told(TLSA(3, 1, 1, b"\xab\xcd")) == "3 1 1 abcd"


@given(
    st.lists(st.builds(TLSA, st.integers(0, 4), st.integers(0, 2), st.integers(0, 3), st.binary(max_size=80))),
    st.lists(st.binary(max_size=40), min_size=1, max_size=3),
)
def test_no_octets_break_it(records: list[TLSA], chain: list[bytes]) -> None:
    counting = usable(records)
    matches_leaf(counting, chain[0])
    anchors(counting, chain)
