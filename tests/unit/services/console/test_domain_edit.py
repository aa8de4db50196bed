"""Changing a domain in a policy's text: that change, no other, and no comment lost."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain_edit import (
    EditError,
    KeyPath,
    Value,
    own_keys,
    read_value,
    with_domain,
    with_keys,
    without_domain,
)

DOCUMENT = """# ours
default_route = "mx"

# the first
[domains."a.test"] # main
route = "mx"  # by DNS
recipients = [
  "anna",
  # the boss
  "ben",
]

[domains."a.test".checks.spf]
fail = "tag"

# sockets
[listeners.mx]
purpose = "inbound"

[domains."B.TEST"]
route = "mx"
recipients = "any"
"""
NEW: dict[str, Value] = {"route": ["smtp://h.test:25", "mx"], "recipients": ["anna"]}


def meant(text: str) -> dict[str, object]:
    return tomllib.loads(text)


@pytest.mark.parametrize(
    "text", [DOCUMENT, "", "a = 1", '[domains]\n"a.test" = { route = "mx", recipients = "any" }\n']
)
def test_a_domain_is_added_and_all_else_stays(text: str) -> None:
    after = with_domain(text, "c.test", NEW)
    assert after.startswith(text)
    assert own_keys(after, "c.test") == NEW
    assert without_domain(after, "c.test").rstrip("\n") == text.rstrip("\n")


def test_a_domain_is_added_to_a_table_in_one_line() -> None:
    after = with_domain('domains = { "a.test" = { route = "mx", recipients = "any" } }\n', "c.test", NEW)
    assert set(meant(after)["domains"]) == {"a.test", "c.test"}  # type: ignore[call-overload]


def test_one_that_is_there_in_another_form_is_not_added_again() -> None:
    with pytest.raises(EditError, match=r"b\.test is one of our domains already"):
        with_domain(DOCUMENT, "b.test", NEW)


@pytest.mark.parametrize(
    ("domain", "changes", "old", "new"),
    [
        ("a.test", {"route": "smtp://h.test:25"}, 'route = "mx"  # by', 'route = "smtp://h.test:25"  # by'),
        ("a.test", {"size_bytes": 70000}, '  "ben",\n]\n', '  "ben",\n]\nsize_bytes = 70000\n'),
        ("a.test", {"checks.spf.none": "tag"}, 'fail = "tag"\n', 'fail = "tag"\nnone = "tag"\n'),
        ("a.test", {"checks.spf.fail": "refuse"}, 'fail = "tag"', 'fail = "refuse"'),
        ("b.test", {"batv": "sign"}, 'recipients = "any"\n', 'recipients = "any"\nbatv = "sign"\n'),
        ("b.test", {"checks.spf.fail": "tag"}, '"any"\n', '"any"\nchecks.spf.fail = "tag"\n'),
        ("b.test", {"recipients": None}, 'recipients = "any"\n', ""),
    ],
)
def test_a_key_is_changed_where_it_stands_and_nothing_else(
    domain: str, changes: dict[KeyPath, Value | None], old: str, new: str
) -> None:
    at = DOCUMENT.rindex(old)
    assert with_keys(DOCUMENT, domain, changes) == DOCUMENT[:at] + new + DOCUMENT[at + len(old) :]


def test_a_domain_goes_with_its_tables_and_comments_and_those_of_others_stay() -> None:
    begin, end = DOCUMENT.index("# the first"), DOCUMENT.index("# sockets")
    assert without_domain(DOCUMENT, "a.test") == DOCUMENT[:begin] + DOCUMENT[end:]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda: with_keys(DOCUMENT, "c.test", {"batv": "sign"}), "none of our domains"),
        (lambda: without_domain(DOCUMENT, "c.test"), "none of our domains"),
        (lambda: with_keys(DOCUMENT, "a.test", {"batv": None}), "no key batv"),
        (lambda: with_keys(DOCUMENT, "a.test", {"checks.dkim.fail": None}), r"no key checks\.dkim"),
        (lambda: with_keys(DOCUMENT, "a.test", {"route.x": "y"}), "no table"),
        (lambda: with_keys(DOCUMENT, "a.test", {"checks..x": "y"}), "not the path"),
        (lambda: with_keys("[a", "a.test", {"x": "y"}), "not TOML"),
    ],
)
def test_what_cannot_be_done_is_said(change, cause: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EditError, match=cause):
        change()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("true", True),
        ("sign", "sign"),
        ("+", "+"),
        ('"+"', "+"),
        ('["a", "b"]', ["a", "b"]),
        ("smtp://h.test:25", "smtp://h.test:25"),
        ("{ to = 1 }", {"to": 1}),
        ("2026-01-01", "2026-01-01"),
        ("1\nb = 1", "1\nb = 1"),
    ],
)
def test_what_stands_behind_a_key_is_toml_or_words(text: str, value: Value) -> None:
    assert read_value(text) == value


NAMES = st.text("abcé-_ .\"'#[]=\\", min_size=1, max_size=6)
VALUES = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.text("a#[]\"\n ='", max_size=30))
def test_whatever_is_added_is_what_was_meant_or_an_error(table: dict[str, Value], comment: str) -> None:
    text = DOCUMENT + "".join(f"# {line}\n" for line in comment.split("\n"))
    after = with_domain(text, "c.test", table)
    assert own_keys(after, "c.test") == table
    assert meant(without_domain(after, "c.test")) == meant(text)
    assert comment.split("\n", maxsplit=1)[0] in after


@given(st.dictionaries(NAMES.filter(lambda name: "." not in name), VALUES, min_size=1, max_size=4))
def test_whatever_is_set_is_what_was_meant_or_an_error(changes: dict[KeyPath, Value | None]) -> None:
    try:
        after = with_keys(DOCUMENT, "a.test", changes)
    except EditError:
        return
    assert own_keys(after, "a.test") == own_keys(DOCUMENT, "a.test") | changes
    assert "# the boss" in after


def test_one_of_several_keys_with_dots_is_changed_and_taken_out_with_its_comment_kept() -> None:
    text = '[domains."a.test"]\nroute = "mx"\nrecipients = "any"\nchecks.spf.fail = "refuse"  # strict\nchecks.dkim.fail = "tag"\n'
    changed = with_keys(text, "a.test", {"checks.spf.fail": "tag"})
    assert changed == text.replace('"refuse"', '"tag"')
    assert with_keys(text, "a.test", {"checks.dkim.fail": None}) == text.replace('checks.dkim.fail = "tag"\n', "")
