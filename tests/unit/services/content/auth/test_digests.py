"""Digests of canonical bodies: each made once, and the same for a body that is kept and one that is read in pieces."""

import hashlib

from dkim.canonicalization import Relaxed, Simple
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.auth.digests import BodyDigests
from tests.unit.shared.auth.test_canon import BODIES


def test_a_digest_is_computed_once_per_form_and_length() -> None:
    digests = BodyDigests(b"a  b\r\n\r\n")
    for _ in range(3):
        assert digests.sha256(relaxed=True) == hashlib.sha256(b"a b\r\n").digest()
        assert digests.sha256(relaxed=False) == hashlib.sha256(b"a  b\r\n").digest()
        assert digests.sha256(relaxed=True, length=2) == hashlib.sha256(b"a ").digest()
        assert digests.sha256(relaxed=True, length=5) == digests.sha256(relaxed=True)
    assert digests.hashed_bytes == 5 + 6 + 2


@settings(deadline=None, max_examples=300)
@given(BODIES, st.lists(st.integers(0, 60), max_size=4), st.integers(1, 9))
def test_digests_are_dkimpys_for_every_length_and_cut(body: bytes, lengths: list[int], piece_bytes: int) -> None:
    for relaxed, dkimpy in ((True, Relaxed), (False, Simple)):
        form = dkimpy.canonicalize_body(body)
        prepared = BodyDigests(body, piece_bytes=piece_bytes)
        prepared.prepare(relaxed=relaxed, lengths=lengths)
        for digests in (BodyDigests(body), BodyDigests(body, piece_bytes=piece_bytes), prepared):
            assert digests.size_bytes(relaxed=relaxed) == len(form)
            assert digests.sha256(relaxed=relaxed) == hashlib.sha256(form).digest()
            for length in lengths:
                assert digests.sha256(relaxed=relaxed, length=length) == hashlib.sha256(form[:length]).digest()


def test_what_was_prepared_is_not_hashed_again() -> None:
    digests = BodyDigests(b"some  text \r\n" * 1000, piece_bytes=100)
    digests.prepare(relaxed=True, lengths=[0, 7, 11_000])
    before = digests.hashed_bytes
    for length in (None, 0, 7, 11_000, 10**70):
        digests.sha256(relaxed=True, length=length)
    assert digests.hashed_bytes == before == digests.size_bytes(relaxed=True)


def test_several_lengths_within_one_piece_have_each_its_own_digest() -> None:
    body = bytes(range(65, 91)) * 20 + b"\r\n"
    digests = BodyDigests(body, piece_bytes=100)
    lengths = [0, 1, 3, 99, 100, 101, 250, len(body), 10**9]
    digests.prepare(relaxed=False, lengths=lengths)
    for length in lengths:
        assert digests.sha256(relaxed=False, length=length) == hashlib.sha256(body[:length]).digest()
    assert digests.hashed_bytes == len(body)
