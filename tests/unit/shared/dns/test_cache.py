"""The cache: answers live as long as they may, the least used make room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answer import Answer, Record
from shared.dns.cache import Cache, Failure, Outcome, lifetime_s


def answer(name: str = "example.test", ttl_s: float = 300, records: tuple[Record, ...] = (b"x",)) -> Answer:
    return Answer(name, "TXT", exists=True, records=records, ttl_s=ttl_s)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (answer(ttl_s=300), 300),
        (answer(ttl_s=0), 5),
        (answer(ttl_s=10_000_000), 86_400),
        (answer(ttl_s=60, records=()), 60),
        (answer(ttl_s=0, records=()), 5),
        (answer(ttl_s=86_400, records=()), 3_600),
        (Answer("a.test", "TXT", exists=False, ttl_s=86_400), 3_600),
        (Failure("SERVFAIL"), 2),
    ],
)
def test_the_lifetime_is_the_ttl_within_bounds(outcome: Outcome, expected: float) -> None:
    assert lifetime_s(outcome) == expected


def test_an_entry_is_good_until_its_lifetime_ends() -> None:
    cache = Cache(10)
    cache.put(("a.test", "TXT"), answer(ttl_s=300), now_s=1000)
    assert cache.get(("a.test", "TXT"), now_s=1299.9) == answer(ttl_s=300)
    assert cache.get(("a.test", "TXT"), now_s=1300) is None
    assert len(cache) == 0


def test_types_of_one_name_are_apart() -> None:
    cache = Cache(10)
    cache.put(("a.test", "TXT"), answer(), now_s=0)
    assert cache.get(("a.test", "A"), now_s=0) is None


def test_the_least_recently_used_entry_makes_room() -> None:
    cache = Cache(2)
    cache.put(("a", "TXT"), answer("a"), now_s=0)
    cache.put(("b", "TXT"), answer("b"), now_s=0)
    cache.get(("a", "TXT"), now_s=1)
    cache.put(("c", "TXT"), answer("c"), now_s=2)
    assert cache.get(("b", "TXT"), now_s=3) is None
    assert cache.get(("a", "TXT"), now_s=3) is not None


def test_a_later_outcome_replaces_the_earlier() -> None:
    cache = Cache(2)
    cache.put(("a", "TXT"), Failure("SERVFAIL"), now_s=0)
    cache.put(("a", "TXT"), answer("a"), now_s=1)
    assert cache.get(("a", "TXT"), now_s=10) == answer("a")


def test_long_answers_make_room_by_their_size() -> None:
    cache = Cache(100)
    for number in range(100):
        cache.put((str(number), "TXT"), answer(records=(b"x" * 9_420,)), now_s=0)
    assert len(cache) == 10
    assert cache.get(("99", "TXT"), now_s=0) is not None


def test_an_answer_larger_than_the_whole_cache_is_not_kept() -> None:
    cache = Cache(1)
    cache.put(("a", "TXT"), answer(records=(b"x" * 60_000,)), now_s=0)
    assert len(cache) == 0
    cache.put(("b", "TXT"), answer(), now_s=0)
    assert len(cache) == 1


def test_a_cache_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="room"):
        Cache(0)


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 1e6), st.floats(0, 100))),
    st.integers(1, 5),
)
def test_it_never_outgrows_its_bound_nor_gives_what_has_expired(
    puts: list[tuple[str, float, float]], max_entries: int
) -> None:
    cache, now_s, expiry = Cache(max_entries), 0.0, dict[str, float]()
    for name, ttl_s, later_s in puts:
        now_s += later_s
        cache.put((name, "TXT"), answer(name, ttl_s), now_s)
        expiry[name] = now_s + lifetime_s(answer(name, ttl_s))
        assert len(cache) <= max_entries
        for other, expires_s in expiry.items():
            found = cache.get((other, "TXT"), now_s)
            assert found is None or expires_s > now_s


def test_what_is_forgotten_is_not_known_and_frees_its_room() -> None:
    cache = Cache(2)
    cache.put(("a.test", "A"), Answer("a.test", "A", exists=False, ttl_s=60), 0)
    cache.forget(("a.test", "A"))
    cache.forget(("b.test", "A"))
    assert cache.get(("a.test", "A"), 0) is None
    assert cache._size_bytes == 0
