"""The rules of `tests.bench.cpu`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.cpu import (
    Machine,
    Process,
    ProcessGone,
    Snapshot,
    parse_machine,
    parse_process,
    role_ticks,
    spent_s,
)

_IDLE = Machine(busy=0, idle=0, stolen=0)


def _table(*processes: Process) -> Snapshot:
    return Snapshot({process.pid: process for process in processes}, _IDLE)


def test_time_of_a_process_includes_its_ended_children() -> None:
    line = "42 (smtpd) S 7 42 42 0 -1 4194560 500 0 0 0 10 20 300 4000 20 0 1 0 999 1 1"
    assert parse_process(line) == Process(pid=42, parent=7, ticks=4330)


@given(st.text(alphabet=st.characters(exclude_characters="\n"), max_size=15))
def test_a_command_name_may_hold_anything(name: str) -> None:
    assert parse_process(f"42 ({name}) S 7 42 42 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0").ticks == 10


@given(st.text(max_size=60))
def test_other_text_is_a_value_error_and_nothing_else(text: str) -> None:
    for parse in (parse_process, parse_machine):
        try:
            parse(text)
        except ValueError:
            continue


def test_waiting_for_the_disk_is_idle_and_stolen_time_is_apart() -> None:
    assert parse_machine("cpu  1 2 3 40 50 6 7 8 0 0\ncpu0 1 2 3") == Machine(busy=19, idle=90, stolen=8)


def test_a_tree_counts_for_its_root() -> None:
    table = _table(Process(10, 1, 1), Process(11, 10, 2), Process(12, 11, 4), Process(20, 1, 100))
    assert role_ticks(table, {"postfix": [10]}) == {"postfix": 7}


def test_a_role_inside_another_role_counts_for_itself_alone() -> None:
    table = _table(Process(10, 1, 1), Process(11, 10, 2), Process(12, 11, 4))
    assert role_ticks(table, {"supervisor": [10], "edge": [11]}) == {"supervisor": 1, "edge": 6}


def test_several_processes_may_share_a_role() -> None:
    table = _table(Process(10, 1, 1), Process(11, 1, 2))
    assert role_ticks(table, {"content": [10, 11]}) == {"content": 3}


def test_a_circle_in_the_table_ends() -> None:
    table = _table(Process(10, 1, 1), Process(11, 12, 2), Process(12, 11, 4))
    assert role_ticks(table, {"postfix": [10]}) == {"postfix": 1}


def test_a_root_that_ended_is_named() -> None:
    with pytest.raises(ProcessGone, match=r"clamd \(99\)"):
        role_ticks(_table(Process(10, 1, 1)), {"clamd": [99]})


def test_a_child_that_ended_in_between_is_not_lost() -> None:
    before = _table(Process(10, 1, 5), Process(11, 10, 20))
    # Process 11 used 30 more ticks, ended, and was waited for.
    after = _table(Process(10, 1, 55))
    assert spent_s(before, after, {"postfix": [10]}, ticks_per_s=100) == {"postfix": 0.3}
