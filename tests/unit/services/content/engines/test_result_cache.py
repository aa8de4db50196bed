"""Results are kept for the bytes and the signatures that they belong to, and no longer."""

from services.content.engines.result_cache import TTL_S, ResultCache
from services.content.engines.scan import Clean, Encrypted, Exceeded, Infected, ScanResult

CLEAN = Clean("ClamAV")


def test_each_explicit_result_is_found_again() -> None:
    cache = ResultCache(10)
    results: list[ScanResult] = [CLEAN, Infected("ClamAV", "X"), Encrypted("ClamAV", "Y")]
    for number, result in enumerate(results):
        cache.put(b"%d" % number, "v1", result, 0)
        assert cache.get(b"%d" % number, "v1", 1) == result


def test_other_bytes_or_other_signatures_have_no_result() -> None:
    cache = ResultCache(10)
    cache.put(b"a", "v1", CLEAN, 0)
    assert cache.get(b"b", "v1", 1) is None
    assert cache.get(b"a", "v2", 1) is None


def test_a_result_is_forgotten_after_its_time() -> None:
    cache = ResultCache(10)
    cache.put(b"a", "v1", CLEAN, 0)
    assert cache.get(b"a", "v1", TTL_S - 1) == CLEAN
    assert cache.get(b"a", "v1", TTL_S) is None
    assert len(cache) == 0


def test_the_longest_unused_gives_way() -> None:
    cache = ResultCache(2)
    cache.put(b"a", "v1", CLEAN, 0)
    cache.put(b"b", "v1", CLEAN, 0)
    cache.get(b"a", "v1", 1)
    cache.put(b"c", "v1", CLEAN, 1)
    assert [cache.get(name, "v1", 1) is not None for name in (b"a", b"b", b"c")] == [True, False, True]


def test_what_exceeds_a_limit_is_not_kept() -> None:
    cache = ResultCache(2)
    cache.put(b"a", "v1", Exceeded("ClamAV", "MaxScanTime"), 0)
    assert len(cache) == 0


def test_a_cache_without_entries_keeps_nothing() -> None:
    cache = ResultCache(0)
    cache.put(b"a", "v1", CLEAN, 0)
    assert len(cache) == 0
