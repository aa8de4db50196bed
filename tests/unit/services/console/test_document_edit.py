"""Changing a list of tables in a policy's text: that change, no other, and no comment lost or moved to another table."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.document_edit import items_of, with_item, with_item_moved, without_item
from services.console.domain_edit import EditError, Value

DOCUMENT = """# ours
default_route = "mx"

# the office
[[access]] # first
action = "allow"
networks = [
  "192.0.2.0/24", # ground floor
]

# spammers
# (seen in May)
[[access]]
action = "deny"
networks = ["198.51.100.0/24"]

# about relaying
[relay]
networks = []
"""
NEW: dict[str, Value] = {"action": "drop", "networks": ["203.0.113.0/24"]}
INLINE = 'default_route = "mx"\naccess = [{action = "allow", networks = ["192.0.2.0/24"]}, {action = "deny"}] # ours\n'


def actions(text: str) -> list[object]:
    return [item["action"] for item in items_of(text, "access")]


@pytest.mark.parametrize(
    "place, order", [(0, "drop allow deny"), (1, "allow drop deny"), (2, "allow deny drop"), (9, "allow deny drop")]
)
def test_a_table_is_added_where_it_is_wanted(place: int, order: str) -> None:
    made = with_item(DOCUMENT, "access", NEW, place, note="a bad\nneighbour")
    assert actions(made) == order.split()
    assert '# a bad neighbour\n[[access]]\naction = "drop"\nnetworks = ["203.0.113.0/24"]\n' in made
    # Nothing else has changed: without the new lines it is the document that it was.
    assert [line for line in made.split("\n") if line in DOCUMENT.split("\n")][:3] == DOCUMENT.split("\n")[:3]
    assert all(line in made for line in DOCUMENT.split("\n"))


def test_the_first_table_of_a_document_is_added_at_its_end() -> None:
    assert actions(with_item("", "access", NEW, 0)) == ["drop"]
    made = with_item('default_route = "mx" # kept\n[relay]\n', "access", NEW, 0)
    assert made.startswith('default_route = "mx" # kept\n[relay]\n\n[[access]]\n')


def test_a_table_goes_with_the_comments_right_above_it() -> None:
    made = without_item(DOCUMENT, "access", 1)
    assert actions(made) == ["allow"]
    assert "spammers" not in made
    assert "seen in May" not in made
    assert "# the office\n[[access]] # first" in made
    assert "# about relaying\n[relay]" in made


def test_a_table_moves_with_its_comments() -> None:
    made = with_item_moved(DOCUMENT, "access", 1, 0)
    assert actions(made) == ["deny", "allow"]
    assert made.index("# spammers") < made.index("# the office") < made.index("# about relaying")
    assert '"192.0.2.0/24", # ground floor' in made
    assert with_item_moved(made, "access", 0, 1) == DOCUMENT


def test_a_list_in_one_line_is_edited_as_well() -> None:
    assert actions(with_item(INLINE, "access", NEW, 1)) == ["allow", "drop", "deny"]
    assert actions(without_item(INLINE, "access", 0)) == ["deny"]
    assert actions(with_item_moved(INLINE, "access", 1, 0)) == ["deny", "allow"]
    assert "# ours" in without_item(INLINE, "access", 0)


@pytest.mark.parametrize("place", [-1, 2, 99])
def test_what_is_not_there_is_neither_moved_nor_taken_out(place: int) -> None:
    with pytest.raises(EditError, match="there is no access"):
        without_item(DOCUMENT, "access", place)
    with pytest.raises(EditError, match="there is no access"):
        with_item_moved(DOCUMENT, "access", 0, place)


def test_what_is_no_list_is_left_alone() -> None:
    for text in ("access = 1\n", "[access]\nx = 1\n", "not toml"):
        with pytest.raises(EditError):
            with_item(text, "access", NEW, 0)


def test_lines_that_only_look_like_a_table_do_not_mislead() -> None:
    text = 'default_route = """\n[[access]]\n"""\n'
    made = with_item(text, "access", NEW, 0)
    assert tomllib.loads(made) == {"default_route": "[[access]]\n", "access": [NEW]}


_actions = st.lists(st.sampled_from(["allow", "deny", "drop"]), max_size=6)


@given(_actions, st.integers(0, 6), st.integers(0, 6), st.text(max_size=20))
def test_any_change_says_that_change_and_no_other(names: list[str], place: int, to: int, note: str) -> None:
    text = "default_route = 'mx'\n" + "".join(f"# {name}\n[[access]]\naction = '{name}'\n\n" for name in names)
    added = with_item(text, "access", NEW, place, note)
    expected = [*names[:place], "drop", *names[place:]]
    assert actions(added) == expected
    if place < len(names) and to < len(names):
        moved = actions(with_item_moved(text, "access", place, to))
        assert moved[to] == names[place]
        assert sorted(map(str, moved)) == sorted(names)
        assert actions(without_item(text, "access", place)) == names[:place] + names[place + 1 :]
