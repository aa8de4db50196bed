"""The rules of `tests.bench.report`."""

import pytest

from tests.bench.report import BEGIN, END, Case, Facts, Run, count_words, place, render

_CASE = Case(4000, kept=True)
_FIRST, _LAST = BEGIN.format(name="bench"), END.format(name="bench")
_FACTS = Facts(
    date="2026-01-02 03:04 UTC",
    machine="2 × Some CPU",
    versions={"postfix": "3.7"},
    load="3 alternating rounds",
    audits={"bare": "no checks"},
)


def _run(number: int, peer: str, seconds: float, cpu_s: float = 1.0) -> Run:
    roles = {peer: cpu_s, "sink": 5.0, "generator": 7.0}
    return Run(number, peer, _CASE, 1000, seconds, roles, other_load=0.25)


def _rendered() -> str:
    runs = [_run(0, "bare", 2), _run(0, "full", 4, 3), _run(1, "bare", 1), _run(1, "full", 1, 3)]
    runs += [_run(2, "bare", 4), _run(2, "full", 10, 3)]
    return render(runs, _FACTS)


def test_a_rate_is_the_median_with_its_extremes() -> None:
    assert "| bare | 500 (250–1000) |" in _rendered()


def test_generator_and_sink_are_listed_but_not_summed() -> None:
    words = _rendered()
    assert "| **bare** | **1.00** |" in words
    assert "| · sink (not in the sum) | 5.00 |" in words


def test_a_ratio_is_taken_round_by_round() -> None:
    # Rounds: 250:500, 1000:1000, 100:250. The ratio of the medians would be another figure.
    assert "| full : bare, messages per second | 0.50 |" in _rendered()
    assert "| full : bare, CPU per message | 3.00 |" in _rendered()


def test_one_peer_alone_has_no_ratios() -> None:
    assert "Ratios" not in render([_run(0, "bare", 2)], _FACTS)


def test_the_facts_name_date_machine_versions_and_other_load() -> None:
    words = _rendered()
    for fact in ("2026-01-02 03:04 UTC", "2 × Some CPU", "postfix 3.7", "25%", "no checks", "3 alternating rounds"):
        assert fact in words


def test_a_column_is_named_by_size_and_way_of_sending() -> None:
    assert Case(50000, kept=False).title == "50 kB, a connection each"
    assert Case(50000, kept=True).title == "50 kB, kept connections"
    assert Case(50000).title == "50 kB"


def test_messages_are_counted_by_size() -> None:
    assert count_words({4000: 20, 50000: 10}) == "20 messages of 4 kB and 10 messages of 50 kB"


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    others = f"{BEGIN.format(name='other')}\nkept\n{END.format(name='other')}\n"
    document = f"before\n{others}{_FIRST}\nold\n{_LAST}\nafter\n"
    once = place(document, "new", "bench")
    assert once == f"before\n{others}{_FIRST}\n\nnew\n\n{_LAST}\nafter\n"
    assert place(once, "new", "bench") == once


@pytest.mark.parametrize("document", ["", _FIRST, _LAST, f"{_LAST} {_FIRST}"])
def test_a_document_without_both_markers_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        place(document, "new", "bench")
