"""Rows as CSV and as JSON lines."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.export import csv_line, json_line


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum(a)", "\t=1", "\r=1", "  =1", "|cmd", "%x", "＝1"])
def test_no_cell_is_a_formula(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_line([text]), newline=""))
    assert row == ["'" + text]


def test_numbers_nothing_and_structures_have_their_form() -> None:
    assert csv_line([1, -1.5, None, {"a": "b"}, "x,y"]) == '1,-1.5,,"{""a"": ""b""}","x,y"\r\n'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_each_row_is_one_row_again_and_every_cell_is_there(cells: list[str]) -> None:
    (row,) = csv.reader(io.StringIO(csv_line(["x", *cells]), newline=""))
    assert [cell.removeprefix("'") if cell != was else cell for cell, was in zip(row[1:], cells, strict=True)] == cells


@given(st.dictionaries(st.text(), st.text()))
def test_a_json_line_is_one_line(row: dict[str, object]) -> None:
    text = json_line(row)
    assert text.count("\n") == 1
    assert json.loads(text) == row
