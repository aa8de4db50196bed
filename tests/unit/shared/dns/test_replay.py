"""Replay: synchronous evaluations get their answers without blocking."""

from collections import Counter
from collections.abc import Callable

import pytest

from shared.dns.answer import Answer, BadName, DnsTemporary
from shared.dns.replay import Lookup, replay


class Memory:
    """A Resolver over dicts: some answers are cached, the others have to be looked up first."""

    def __init__(self, cached: dict[str, bytes | str], remote: dict[str, bytes | str]) -> None:
        self.known = dict(cached)
        self.remote = remote
        self.lookups: Counter[str] = Counter()

    def cached(self, name: str, rdtype: str) -> Answer | None:
        if " " in name:
            raise BadName(name)
        return self._answer(name, rdtype, self.known[name]) if name in self.known else None

    async def lookup(self, name: str, rdtype: str) -> Answer:
        self.lookups[name] += 1
        return self._answer(name, rdtype, self.remote[name])

    def _answer(self, name: str, rdtype: str, value: bytes | str) -> Answer:
        if isinstance(value, str):
            raise DnsTemporary(name, rdtype, value)
        return Answer(name, rdtype, exists=True, records=(value,))


def texts_of(*names: str, passes: list[int] | None = None) -> Callable[[Lookup], list[bytes]]:
    def evaluate(lookup: Lookup) -> list[bytes]:
        if passes is not None:
            passes.append(1)
        return [lookup(name, "TXT").texts()[0] for name in names]

    return evaluate


async def test_a_fully_cached_evaluation_runs_once() -> None:
    passes: list[int] = []
    resolver = Memory({"a": b"1", "b": b"2"}, {})
    assert await replay(resolver, texts_of("a", "b", passes=passes)) == [b"1", b"2"]
    assert len(passes) == 1
    assert not resolver.lookups


async def test_every_missing_answer_is_fetched_once() -> None:
    passes: list[int] = []
    resolver = Memory({"b": b"2"}, {"a": b"1", "c": b"3"})
    assert await replay(resolver, texts_of("a", "b", "c", "a", passes=passes)) == [b"1", b"2", b"3", b"1"]
    assert resolver.lookups == {"a": 1, "c": 1}
    assert len(passes) == 3


async def test_an_answer_stays_the_same_for_all_passes_even_if_the_cache_forgets_it() -> None:
    resolver = Memory({"a": b"old"}, {"b": b"2"})

    def evaluate(lookup: Lookup) -> bytes:
        text = lookup("a", "TXT").texts()[0]
        resolver.known.clear()
        return text + lookup("b", "TXT").texts()[0]

    assert await replay(resolver, evaluate) == b"old2"


@pytest.mark.parametrize("where", ["cached", "remote"])
async def test_a_temporary_failure_is_raised_at_the_very_lookup(where: str) -> None:
    bad: dict[str, bytes | str] = {"bad": "SERVFAIL"}
    resolver = Memory(bad if where == "cached" else {}, {"a": b"1", **bad})

    def evaluate(lookup: Lookup) -> list[str]:
        seen = []
        for name in ("a", "bad", "bad"):
            try:
                lookup(name, "TXT")
                seen.append(name)
            except DnsTemporary as error:
                seen.append(error.cause)
        return seen

    assert await replay(resolver, evaluate) == ["a", "SERVFAIL", "SERVFAIL"]


async def test_a_library_that_catches_everything_cannot_make_a_result_of_a_missing_answer() -> None:
    resolver = Memory({}, {"a": b"1", "b": b"2"})

    def evaluate(lookup: Lookup) -> str:
        try:
            lookup("a", "TXT")
        except:  # noqa: E722
            return "swallowed"
        try:
            return lookup("b", "TXT").texts()[0].decode()
        except BaseException as error:
            raise RuntimeError("changed into another error") from error

    assert await replay(resolver, evaluate) == "2"


async def test_an_error_of_the_evaluation_passes_through() -> None:
    def evaluate(lookup: Lookup) -> None:
        lookup("a", "TXT")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await replay(Memory({}, {"a": b"1"}), evaluate)


async def test_a_bad_name_is_raised_inside_the_evaluation() -> None:
    def evaluate(lookup: Lookup) -> str:
        try:
            lookup("a b", "TXT")
        except BadName:
            return "permerror"
        return "asked"

    assert await replay(Memory({}, {}), evaluate) == "permerror"


@pytest.mark.parametrize("cached", [True, False])
async def test_lookups_are_bounded_whether_cached_or_not(cached: bool) -> None:
    records: dict[str, bytes | str] = {str(number): b"x" for number in range(100)}
    resolver = Memory(records, {}) if cached else Memory({}, records)

    def evaluate(lookup: Lookup) -> tuple[int, str]:
        for number in range(100):
            try:
                lookup(str(number), "TXT")
            except DnsTemporary as error:
                return number, error.cause
        return 100, ""

    assert await replay(resolver, evaluate, max_lookups=7) == (7, "more than 7 look-ups in one evaluation")
    assert sum(resolver.lookups.values()) == (0 if cached else 7)
